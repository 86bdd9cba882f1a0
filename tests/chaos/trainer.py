"""What trains under fire: ``python -m tests.chaos.trainer <kit> <module> <job folder>``.

A task named ``real-…`` is learned by the real trainer; any other by the one without torch, which takes its steps and
checkpoints like the real one and leaves a delta that changes nothing: to the engine a version like any other.
"""

import errno
import os
import shutil
import sys
from pathlib import Path

from core.domain.job_folder import ExitCode, JobFolder
from core.domain.manifest import CANARY_FILE, DELTA_FILE, DeltaSummary
from core.domain.trainer_spec import TrainerSpec
from tests.chaos.kit import Kit
from tests.fake_trainer.behaviours import walk
from tests.fake_trainer.trainer import FakeTrainer
from worker.compute import lifeline

REAL = "real"
SECONDS_A_STEP = {"walk": 0.08, "stroll": 0.4}


class WeightlessTrainer(FakeTrainer):
    """Publishes the parent's weights as they are: an empty delta, and the parent's own canary."""

    def __init__(self, root: Path, kit: Kit) -> None:
        super().__init__(root)
        self.kit = kit

    def write_weights(self, out: Path) -> DeltaSummary:
        parent = [self.folder.root / link.folder / CANARY_FILE for link in self.spec.chain]
        shutil.copyfile(parent[-1] if parent else self.kit.canary, out / CANARY_FILE)
        shutil.copyfile(self.kit.delta, out / DELTA_FILE)
        return DeltaSummary.model_validate_json(self.kit.summary.read_bytes())

    def digest(self) -> str:
        return self.spec.parent_digest


def main() -> int:
    kit, module, root = Kit(Path(sys.argv[1])), sys.argv[2], Path(sys.argv[3])
    if module != "worker.compute.trainer" or _kind_of(root) == REAL:
        os.execv(sys.executable, [sys.executable, "-m", module, str(root)])
    lifeline.hold()
    trainer = WeightlessTrainer(root, kit)
    try:
        return walk(trainer, seconds=SECONDS_A_STEP[_kind_of(root)])
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return ExitCode.DISK_FULL
        raise


def _kind_of(root: Path) -> str:
    spec = TrainerSpec.model_validate_json(JobFolder(root).spec.read_bytes())
    return spec.tasks[-1].name.partition("-")[0]


if __name__ == "__main__":
    sys.exit(main())

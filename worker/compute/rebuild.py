"""The process of a `rebuild` job: ``python -m worker.compute.rebuild <job folder>``.

It reads ``spec.json`` (`RebuildSpec`), folds the deltas that stay, scores every task, and leaves a version in ``out``.
Events, exit codes and the polite stop are those of `worker.compute.trainer`.
"""

import sys

from core.domain.job_folder import JobFolder
from core.domain.trainer_spec import RebuildSpec
from worker.compute import trainer
from worker.compute.trainer import EventLog, Stopping


def main(arguments: list[str]) -> int:
    """Run the job of a folder and return the exit code."""
    return trainer.run(_rebuild, arguments)


def _rebuild(folder: JobFolder, report: EventLog, stopping: Stopping) -> None:
    spec = RebuildSpec.model_validate_json(folder.spec.read_bytes())
    from core.learning.rebuild_run import RebuildRun

    RebuildRun.open(spec, folder, report=report, stopping=stopping).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

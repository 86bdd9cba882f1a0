"""What a trainer without torch says and leaves in its job's folder."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from core.domain.errors import CorruptError
from core.domain.job_folder import CheckpointEvent, JobFolder, PhaseEvent, ProgressEvent, ScoreEvent
from core.domain.jobs import Phase
from core.domain.manifest import DeltaSummary, Manifest, ModuleSummary, Provenance
from core.domain.trainer_spec import RebuildSpec, TrainerSpec
from core.storage import durable, manifests

MODULE = "model.layers.0.q_proj"
WALK = "walk.json"


class FakeTrainer:
    def __init__(self, root: Path, kind: type[TrainerSpec | RebuildSpec] = TrainerSpec) -> None:
        self.folder = JobFolder(root)
        self.spec = kind.model_validate_json(self.folder.spec.read_text())

    def say(self, event: Any) -> None:
        say(self.folder, event)

    def step(self, n: int, total: int) -> None:
        self.say(ProgressEvent(step=n, total_steps=total, eta_seconds=1.0, values={"loss": 1 / n}))

    def learn(self, steps: int = 3, seconds: float = 0.0) -> None:
        self.say(PhaseEvent(phase=Phase.TRAINING))
        for n in range(1, steps + 1):
            self.step(n, steps)
            time.sleep(seconds)
        self.say(CheckpointEvent(step=steps))

    def resume(self) -> dict[str, Any]:
        """Return where the newest whole checkpoint stands; the beginning, if there is none."""
        found = sorted(self.folder.checkpoints.glob("step-*"), key=lambda left: int(left.name.removeprefix("step-")))
        for left in reversed(found):
            try:
                manifests.verify(left)
            except CorruptError:
                continue
            return dict(json.loads((left / "state.json").read_text()))
        return {"step": 0, "digest": ""}

    def save(self, state: dict[str, Any]) -> None:
        """Write a checkpoint, and drop the ones before."""
        left = self.folder.checkpoints / f"step-{state['step']}"
        durable.remove_tree(left)
        left.mkdir(parents=True)
        (left / "state.json").write_text(json.dumps(state))
        manifests.seal(left, {})
        self.say(CheckpointEvent(step=state["step"]))
        for older in self.folder.checkpoints.glob("step-*"):
            if older != left:
                durable.remove_tree(older)

    def write_weights(self, out: Path) -> DeltaSummary:
        (out / "delta.safetensors").write_bytes(self.folder.spec.read_bytes())
        (out / "canary.safetensors").write_bytes(b"canary")
        module = ModuleSummary(shape=(8, 8), nnz=4)
        return DeltaSummary(format="sparse", nnz=4, density=4 / 128, size_bytes=64, modules={MODULE: module})

    def digest(self) -> str:
        chain = [link.manifest_sha256 for link in self.spec.chain]
        return hashlib.sha256("".join((self.spec.base.digest, *chain)).encode()).hexdigest()

    def leave_version(self, walk: dict[str, Any] | None = None) -> None:
        self.say(PhaseEvent(phase=Phase.EVALUATING))
        for task in self.spec.tasks:
            for subject, value in (("base", 0.25), ("result", 0.75)):
                self.say(ScoreEvent(subject=subject, task_id=task.task_id, metric="exact_match", value=value, n_rows=4))
        self.say(PhaseEvent(phase=Phase.PUBLISHING))
        out = self.folder.out
        out.mkdir()
        if walk is not None:
            (out / WALK).write_text(json.dumps(walk))
        manifest = Manifest(
            provenance=Provenance.model_validate(self.spec.provenance),
            base_digest=self.spec.base.digest,
            chain=tuple(link.manifest_sha256 for link in self.spec.chain),
            digest=self.digest(),
            delta=self.write_weights(out),
            recipe=self.spec.recipe,
            template=self.spec.template,
            libraries={},
        )
        manifests.seal(out, manifest.model_dump(mode="json"))


def say(folder: JobFolder, event: Any) -> None:
    with folder.events.open("a") as file:
        file.write(event.model_dump_json() + "\n")

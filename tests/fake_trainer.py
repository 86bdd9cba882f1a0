"""A trainer without torch that speaks the whole protocol of a job's folder: ``fake_trainer.py <module> <folder>``.

What it does is named by the first word of the task's name (or, to inspect, by the last part of the source).
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.domain.base_facts import BaseFacts
from core.domain.errors import CorruptError
from core.domain.export_spec import KIND, PARITY_FILE, README_FILE, ExportSpec
from core.domain.exports import Parity
from core.domain.job_folder import (
    CheckpointEvent,
    ErrorEvent,
    ExitCode,
    JobFolder,
    PhaseEvent,
    ProgressEvent,
    ScoreEvent,
)
from core.domain.jobs import Phase
from core.domain.manifest import DeltaSummary, Manifest, ModuleSummary, Provenance
from core.domain.trainer_spec import InspectSpec, RebuildSpec, TrainerSpec
from core.storage import durable, lineages, manifests
from worker.compute import lifeline

MODULE = "model.layers.0.q_proj"
WALK = "walk.json"
WALK_STEPS = 8


def facts(digest: str) -> BaseFacts:
    return BaseFacts(
        family="causal",
        architecture="Fake",
        modules={MODULE: (8, 8), MODULE.replace("q_proj", "v_proj"): (8, 8)},
        blocks={MODULE: "model.layers.0", MODULE.replace("q_proj", "v_proj"): "model.layers.0"},
        default_targets=("q_proj", "v_proj"),
        context_tokens=2048,
        vocabulary=100,
        parameters=128,
        size_bytes=512,
        digest=digest,
        tokenizer_sha256="1" * 64,
        end_token="</s>",
        end_token_id=0,
        chat_template=None,
    )


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


def ok(trainer: FakeTrainer) -> int:
    trainer.learn()
    trainer.leave_version()
    return ExitCode.OK


def slow(trainer: FakeTrainer) -> int:
    """Half a minute of steps; stops politely."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.CANCELLED))
    trainer.learn(steps=300, seconds=0.1)
    trainer.leave_version()
    return ExitCode.OK


def brief(trainer: FakeTrainer) -> int:
    """A few seconds of steps."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.CANCELLED))
    trainer.learn(steps=20, seconds=0.1)
    trainer.leave_version()
    return ExitCode.OK


def crash(trainer: FakeTrainer) -> int:
    trainer.learn()
    raise RuntimeError("a fault in the trainer")


def hang(trainer: FakeTrainer) -> int:
    """Takes no notice of a polite stop, and has a helper that takes none either."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    helper = subprocess.Popen(["sleep", "120"])
    (trainer.folder.root / "helper.pid").write_text(str(helper.pid))
    trainer.step(1, 3)
    time.sleep(120)
    return ExitCode.OK


def silent(trainer: FakeTrainer) -> int:
    """Stops saying anything, and stops when it is told to."""
    trainer.step(1, 3)
    time.sleep(120)
    return ExitCode.OK


def diverge(trainer: FakeTrainer) -> int:
    trainer.say(ErrorEvent(code="loss_diverged", detail="the loss is NaN at step 2"))
    return ExitCode.LOSS_DIVERGED


def killed(trainer: FakeTrainer) -> int:
    trainer.step(1, 3)
    os.kill(os.getpid(), signal.SIGKILL)
    return ExitCode.OK


def unlucky(trainer: FakeTrainer) -> int:
    """Killed the first time, fine the second."""
    if len(list(trainer.folder.root.parent.iterdir())) == 1:
        return killed(trainer)
    return ok(trainer)


def resumes(trainer: FakeTrainer) -> int:
    """Killed after its first checkpoint; then needs that checkpoint to succeed."""
    left = trainer.folder.checkpoints / "step-2"
    if left.is_dir():
        manifests.verify(left)
        return ok(trainer)
    left.mkdir(parents=True)
    (left / "state.json").write_text("{}")
    manifests.seal(left, {})
    trainer.say(CheckpointEvent(step=2))
    return killed(trainer)


def pausable(trainer: FakeTrainer) -> int:
    """Writes a checkpoint when it is asked to stop; started again, it needs that checkpoint to succeed."""
    left = trainer.folder.checkpoints / "step-2"
    if left.is_dir():
        manifests.verify(left)
        return ok(trainer)

    def stop(*_: object) -> None:
        left.mkdir(parents=True)
        (left / "state.json").write_text("{}")
        manifests.seal(left, {})
        trainer.say(CheckpointEvent(step=2))
        sys.exit(ExitCode.CANCELLED)

    signal.signal(signal.SIGTERM, stop)
    trainer.learn(steps=300, seconds=0.1)
    return ExitCode.OK


def walked(steps: int = WALK_STEPS) -> dict[str, Any]:
    """Return where a walk ends: each step hashes the one before, so none can be left out or taken twice."""
    state: dict[str, Any] = {"step": 0, "digest": ""}
    for _ in range(steps):
        state = _next(state)
    return state


def _next(state: dict[str, Any]) -> dict[str, Any]:
    step = state["step"] + 1
    return {"step": step, "digest": hashlib.sha256(f"{state['digest']} {step}".encode()).hexdigest()}


def walk(trainer: FakeTrainer, seconds: float = 0.02) -> int:
    """Steps with a checkpoint at every other one, from where the last attempt stood; stops politely, with another."""
    state = trainer.resume()
    asked_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked_to_stop.append(number))
    trainer.say(PhaseEvent(phase=Phase.TRAINING))
    while state["step"] < WALK_STEPS:
        state = _next(state)
        trainer.step(state["step"], WALK_STEPS)
        time.sleep(seconds)
        if asked_to_stop or state["step"] % 2 == 0:
            trainer.save(state)
        if asked_to_stop:
            return ExitCode.CANCELLED
    trainer.leave_version(state)
    return ExitCode.OK


def marches(trainer: FakeTrainer) -> int:
    """Two seconds of steps, a checkpoint every fourth; goes on from the latest one that it finds, and notes which."""
    found = [int(left.name.removeprefix("step-")) for left in trainer.folder.checkpoints.glob("step-*")]
    (trainer.folder.root / "resumed.json").write_text(json.dumps(found))
    trainer.say(PhaseEvent(phase=Phase.TRAINING))
    for n in range(max(found, default=0) + 1, 21):
        trainer.step(n, 20)
        time.sleep(0.1)
        if n % 4 == 0:
            trainer.save({"step": n})
    trainer.leave_version()
    return ExitCode.OK


def corrupt(trainer: FakeTrainer) -> int:
    trainer.leave_version()
    (trainer.folder.out / "delta.safetensors").write_bytes(b"damaged")
    return ExitCode.OK


def empty(trainer: FakeTrainer) -> int:
    trainer.learn()
    return ExitCode.OK


def free(trainer: FakeTrainer) -> int:
    """Never notices that its worker is gone, but for the lifeline."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    trainer.step(1, 3)
    while True:
        time.sleep(1)


BEHAVIOURS: dict[str, Callable[[FakeTrainer], int]] = {
    each.__name__: each
    for each in (
        ok,
        slow,
        brief,
        crash,
        hang,
        silent,
        diverge,
        killed,
        unlucky,
        resumes,
        pausable,
        marches,
        walk,
        corrupt,
        empty,
        free,
    )
}


def train(root: Path) -> int:
    trainer = FakeTrainer(root)
    behaviour = trainer.spec.tasks[-1].name.split("-")[0]
    return BEHAVIOURS.get(behaviour, ok)(trainer)


def rebuild(root: Path) -> int:
    """Leaves the version that was asked for; after two seconds, if it is asked to leave out a brief task."""
    trainer = FakeTrainer(root, RebuildSpec)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.CANCELLED))
    gone = trainer.spec.provenance["left_out"]
    if any(task.task_id in gone and task.name.startswith("brief") for task in trainer.spec.tasks):
        trainer.learn(steps=20, seconds=0.1)
    trainer.leave_version()
    return ExitCode.OK


def inspect(root: Path) -> int:
    folder = JobFolder(root)
    spec = InspectSpec.model_validate_json(folder.spec.read_text())
    if spec.source.endswith("broken"):
        return ExitCode.INVALID_SPEC
    target = Path(spec.target)
    target.mkdir(parents=True)
    (target / "config.json").write_text("{}")
    folder.out.mkdir()
    digest = hashlib.sha256(spec.source.encode()).hexdigest()
    (folder.out / "facts.json").write_text(facts(digest).model_dump_json())
    return ExitCode.OK


def export(root: Path) -> int:
    """Leaves the chain's deltas as one file, with a proof; slowly, if the version's last task is a brief one."""
    folder = JobFolder(root)
    spec = ExportSpec.model_validate_json(folder.spec.read_text())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.CANCELLED))
    say(folder, PhaseEvent(phase=Phase.PREPARING))
    if spec.card.tasks and spec.card.tasks[-1].name.startswith("brief"):
        for n in range(1, 21):
            say(folder, ProgressEvent(step=n, total_steps=20))
            time.sleep(0.1)
    if spec.card.tasks and spec.card.tasks[-1].name.startswith("odd"):
        say(folder, ErrorEvent(code="parity_failed", detail="the export is not the version"))
        return ExitCode.INVALID_SPEC
    if spec.lineage is not None:
        durable.copy_tree(root / spec.lineage, folder.out)
    else:
        folder.out.mkdir()
        (folder.out / "deltas").write_bytes(
            b"".join((root / link.folder / "delta.safetensors").read_bytes() for link in spec.chain)
        )
    proof = Parity(
        version_digest=spec.version_digest,
        same_tensors=True,
        prompts=("?",),
        max_abs_difference=0.0,
        largest_logit=1.0,
        tolerance=1e-4,
        opened_by={},
    )
    (folder.out / PARITY_FILE).write_text(proof.model_dump_json())
    (folder.out / README_FILE).write_text(f"# {spec.card.version}\n")
    body = lineages.body(spec.card.model) if spec.lineage else {"kind": KIND}
    manifests.seal(folder.out, body | {"export": spec.identity()})
    return ExitCode.OK


def say(folder: JobFolder, event: Any) -> None:
    with folder.events.open("a") as file:
        file.write(event.model_dump_json() + "\n")


COMPUTATIONS = {
    "worker.compute.trainer": train,
    "worker.compute.rebuild": rebuild,
    "worker.compute.export": export,
    "worker.compute.inspect": inspect,
}


def main() -> int:
    lifeline.hold()
    module, root = sys.argv[1], Path(sys.argv[2])
    (root / "environment.json").write_text(json.dumps(dict(os.environ)))
    (root / "trainer.pid").write_text(str(os.getpid()))
    return COMPUTATIONS[module](root)


if __name__ == "__main__":
    sys.exit(main())

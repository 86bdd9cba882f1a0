"""How the training of a task can go, each by the first word of the task's name."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from core.domain.job_folder import CheckpointEvent, ErrorEvent, ExitCode, PhaseEvent
from core.domain.jobs import Phase
from core.storage import manifests
from tests.fake_trainer.trainer import FakeTrainer
from tests.fake_trainer.walks import WALK_STEPS, next_of


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


def walk(trainer: FakeTrainer, seconds: float = 0.02) -> int:
    """Steps with a checkpoint at every other one, from where the last attempt stood; stops politely, with another."""
    state = trainer.resume()
    asked_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked_to_stop.append(number))
    trainer.say(PhaseEvent(phase=Phase.TRAINING))
    while state["step"] < WALK_STEPS:
        state = next_of(state)
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

"""Before a job begins: does it fit on the disk, and into the device; what happens when it does not."""

import dataclasses
import threading
import time
from functools import partial
from pathlib import Path

import psutil
from fake_desk import FakeDesk
from one_attempt import run

from core.domain.errors import ConflictError, LostLeaseError
from core.services.trainer_specs import StagingPlan
from worker.control import preflight
from worker.control.context import Compute, WorkerContext
from worker.control.desk import Claim
from worker.control.heart import Heart
from worker.control.loop import poll

GIB = 1 << 30
EVERYTHING = 1 << 60


class Demanding(FakeDesk):
    """A registry whose job is estimated to need this much memory."""

    def plan(self, claim: Claim) -> StagingPlan:
        return dataclasses.replace(super().plan(claim), peak_memory_bytes=3.0 * GIB)


def compute(**changes: object) -> Compute:
    return dataclasses.replace(Compute(command=("python", "-m"), device="auto", threads=1), **changes)  # type: ignore[arg-type]


def gpus(folder: Path, *, mib: str) -> dict[str, str]:
    """Return surroundings whose driver knows one GPU, number 2, and puts its questions down."""
    tool = folder / "nvidia-smi"
    tool.write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\ncase "$1" in --id=2) echo "{mib}";; *) exit 6;; esac\n')
    tool.chmod(0o755)
    return {"PATH": f"{folder}:/bin:/usr/bin", "CUDA_VISIBLE_DEVICES": "2,3"}


def test_a_trainer_has_its_gpu_less_the_engines_share(tmp_path: Path) -> None:
    found = gpus(tmp_path, mib="24576")
    assert preflight.trainer_memory_bytes(compute(), found) == 24 * GIB
    assert preflight.trainer_memory_bytes(compute(engine_share_bytes=8 * GIB), found) == 16 * GIB
    assert "--id=2" in (tmp_path / "asked").read_text()


def test_what_the_operator_says_goes(tmp_path: Path) -> None:
    shared = compute(memory_bytes=5 * GIB, engine_share_bytes=8 * GIB)
    assert preflight.trainer_memory_bytes(shared, gpus(tmp_path, mib="24576")) == 5 * GIB


def test_a_gpu_that_the_driver_does_not_know_limits_nothing(tmp_path: Path) -> None:
    assert preflight.trainer_memory_bytes(compute(device="cuda", visible_gpu="7"), gpus(tmp_path, mib="1")) is None
    assert preflight.trainer_memory_bytes(compute(device="cuda"), gpus(tmp_path, mib="[N/A]")) is None
    assert preflight.trainer_memory_bytes(compute(device="cuda"), {"PATH": str(tmp_path / "nothing")}) is None


def test_without_a_gpu_the_machines_memory_is_what_there_is(tmp_path: Path) -> None:
    for device in ("cpu", "auto"):
        found = preflight.trainer_memory_bytes(
            compute(device=device, engine_share_bytes=GIB), {"PATH": str(tmp_path / "nothing")}
        )
        assert found is not None
        assert GIB // 4 < found <= psutil.virtual_memory().total


def test_a_job_too_large_for_its_device_is_refused_before_its_trainer_starts(context: WorkerContext) -> None:
    desk = Demanding()
    desk.train_sha256 = context.desk.train_sha256  # type: ignore[attr-defined]
    small = dataclasses.replace(context, desk=desk, compute=dataclasses.replace(context.compute, memory_bytes=2 * GIB))
    run(small)
    assert (desk.outcome, desk.code) == ("failed", "insufficient_memory")
    assert "3072 MiB" in str(desk.detail)
    assert "2048 MiB" in str(desk.detail)
    assert not list(context.jobs_dir.rglob("trainer.log"))


def test_a_job_for_which_the_disk_is_too_full_fails_and_may_be_retried(context: WorkerContext, desk: FakeDesk) -> None:
    run(dataclasses.replace(context, min_free_bytes=EVERYTHING))
    assert (desk.outcome, desk.code) == ("failed", "disk_full")


def test_a_worker_with_a_full_disk_leaves_jobs_in_the_queue(context: WorkerContext, desk: FakeDesk) -> None:
    stop = threading.Event()
    crowded = dataclasses.replace(context, min_free_bytes=EVERYTHING)
    worker = threading.Thread(target=lambda: poll(crowded, stop=stop))
    worker.start()
    time.sleep(0.5)
    stop.set()
    worker.join(10)
    assert desk.claimable == 1
    assert desk.sweeps >= 1, "it goes on sweeping"


def waiting(context: WorkerContext, desk: FakeDesk, tmp_path: Path) -> BaseException | None:
    """Try to publish on a full disk until told otherwise; return what ended it."""
    ended: list[BaseException] = []
    claim = desk.claim()
    assert claim is not None
    with Heart(partial(desk.beat, claim), timings=context.timings, claimed_at=time.monotonic()) as heart:
        try:
            preflight.await_disk(dataclasses.replace(context, min_free_bytes=EVERYTHING), heart, tmp_path)
        except (ConflictError, LostLeaseError) as error:
            ended.append(error)
    return ended[0] if ended else None


def test_a_trained_version_waits_for_room_until_nobody_wants_it(
    context: WorkerContext, desk: FakeDesk, tmp_path: Path
) -> None:
    threading.Timer(0.4, setattr, (desk, "cancel_requested", True)).start()
    ended = waiting(context, desk, tmp_path)
    assert isinstance(ended, ConflictError)
    assert ended.code == "cancel_requested"
    assert desk.beats >= 1, "it keeps its lease meanwhile"


def test_a_version_that_waits_for_room_is_left_to_whoever_took_the_job(
    context: WorkerContext, desk: FakeDesk, tmp_path: Path
) -> None:
    threading.Timer(0.3, setattr, (desk, "lost", True)).start()
    assert isinstance(waiting(context, desk, tmp_path), LostLeaseError)

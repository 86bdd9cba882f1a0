"""What a worker works with: its ports, its folders and its times, assembled once and passed in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.domain.ports import ArtefactStore, BlobStore, CheckpointStore
from worker.control.desk import Desk

Notify = Callable[[], None]
StopRequested = Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """All in seconds, on the monotonic clock.

    Attributes:
        lease: how long a claim is trusted by others after its last beat.
        run: longest run of a claim whose task names no limit.
        stall: longest silence of a trainer whose steps are quick; see `supervisor.STALLED_STEPS`.
        grace: between the polite and the forced stop of a trainer.
        record: least time between two writes of a trainer's events.
        tick: between two looks at the trainer.
    """

    lease: float
    beat: float
    sweep: float
    poll: float
    run: float
    stall: float
    grace: float
    record: float = 0.5
    tick: float = 0.1

    @property
    def trust(self) -> float:
        """How long a holder trusts itself after its last beat: it stops before others may take over."""
        return self.lease * 3 / 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """How computations are started.

    Attributes:
        command: what runs a module; the module's name and the job's folder are appended.
        device: auto, cpu, cuda or mps, told to the trainer in its spec.
        threads: CPU threads of one trainer.
        visible_gpu: its CUDA_VISIBLE_DEVICES; None for what the worker sees, or else GPU 0.
        memory_bytes: of its device that it may take; 0 for what the device has, less ``engine_share_bytes`` on a GPU.
    """

    command: Sequence[str]
    device: str
    threads: int
    visible_gpu: str | None = None
    memory_bytes: int = 0
    engine_share_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """Everything that `worker.control.loop.run_next` needs.

    Attributes:
        notify_engine: tells the engine to look for new versions; never raises.
        min_free_bytes: what must stay free on the disk of the job folders.
        collect: removes garbage when it is time for it; never raises.
        checkpoints: where other machines find them; None where they stay in the job's folder.
    """

    desk: Desk
    artefacts: ArtefactStore
    blobs: BlobStore
    jobs_dir: Path
    base_models_dir: Path
    compute: Compute
    timings: Timings
    notify_engine: Notify
    min_free_bytes: int
    collect: Callable[[], None]
    checkpoints: CheckpointStore | None = None

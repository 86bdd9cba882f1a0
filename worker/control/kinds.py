"""The kinds of jobs that this worker can execute. A new one is a module beside this file and a line here."""

from typing import Final, Protocol

from core.domain.job_folder import JobFolder, ScoreEvent
from core.domain.jobs import JobKind
from worker.control.context import WorkerContext
from worker.control.desk import Claim
from worker.control.export_jobs import ExportJobs
from worker.control.heart import Heart
from worker.control.inspect_jobs import InspectJobs
from worker.control.rebuild_jobs import RebuildJobs
from worker.control.train_jobs import TrainJobs


class Kind(Protocol):
    """What differs between kinds: what is computed, from what, and what becomes of it."""

    @property
    def module(self) -> str:
        """The module of `worker.compute` to run on the job's folder."""

    @property
    def online(self) -> bool:
        """Whether the computation may use the network."""

    def stage(self, claim: Claim, context: WorkerContext, *, folder: JobFolder, heart: Heart) -> None:
        """Fill the folder with all that the computation reads."""

    def finish(
        self,
        claim: Claim,
        context: WorkerContext,
        *,
        folder: JobFolder,
        heart: Heart,
        scores: tuple[ScoreEvent, ...],
    ) -> None:
        """Take over what the computation left in ``folder.out``, and settle the job as succeeded."""


KINDS: Final[dict[JobKind, Kind]] = {
    JobKind.TRAIN: TrainJobs(),
    JobKind.REBUILD: RebuildJobs(),
    JobKind.EXPORT: ExportJobs(),
    JobKind.INSPECT: InspectJobs(),
}

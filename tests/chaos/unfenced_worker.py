"""The mutant: a worker that publishes whoever holds the job by now. The checker must catch what comes of it.

Only the last line of defence is taken away. It still looks at its lease; but what happens between that look and the
commit, no clock can tell: that is what the fence is for.
"""

import signal
import threading
from collections.abc import Sequence
from dataclasses import replace

from core.domain.job_folder import ScoreEvent
from core.domain.manifest import Manifest
from core.registry import jobs
from core.services import versions
from core.settings import Settings
from worker.control import assembly
from worker.control.context import WorkerContext
from worker.control.desk import Claim
from worker.control.loop import poll
from worker.control.registry_desk import RegistryDesk


class UnfencedDesk(RegistryDesk):
    """Takes the fence from the row instead of comparing the row with the claim's."""

    def publish(self, claim: Claim, *, manifest: Manifest, scores: Sequence[ScoreEvent], artefact: str) -> None:
        with self._registry.write() as work:
            fence = int(jobs.get(work, claim.job.id).fence or 0)
            provenance = manifest.provenance.model_copy(update={"fence": fence})
            versions.publish(
                work,
                job_id=claim.job.id,
                fence=fence,
                manifest=manifest.model_copy(update={"provenance": provenance}),
                scores=scores,
                artefact=artefact,
            )


def without_fence(context: WorkerContext, settings: Settings) -> WorkerContext:
    desk = context.desk
    assert isinstance(desk, RegistryDesk)
    unfenced = UnfencedDesk(
        desk._registry,
        owner=desk._owner,
        lease_seconds=settings.lease_seconds,
        barren_limit=settings.barren_limit,
    )
    return replace(context, desk=unfenced)


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = Settings()
    with assembly.open_context(settings) as context:
        poll(without_fence(context, settings), stop=stop)


if __name__ == "__main__":
    main()

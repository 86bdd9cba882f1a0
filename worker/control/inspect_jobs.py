"""`inspect` jobs: a base model is read once, converted, and described for all who must not load it."""

from pathlib import Path
from typing import Final

from pydantic import ValidationError

from core.domain.base_facts import BaseFacts
from core.domain.errors import CorruptError
from core.domain.job_folder import JobFolder, ScoreEvent
from core.domain.trainer_spec import InspectSpec
from core.storage import durable
from worker.control import preflight
from worker.control.context import WorkerContext
from worker.control.desk import Claim
from worker.control.heart import Heart

_FACTS: Final = "facts.json"
_DIGEST_DIGITS: Final = 16


class InspectJobs:
    """How `inspect` jobs are staged and finished."""

    module = "worker.compute.inspect"
    # A source `hub:…` is fetched by it.
    online = True

    def stage(self, claim: Claim, context: WorkerContext, *, folder: JobFolder, heart: Heart) -> None:
        """Write the spec; the target lies beside the final place, so that taking it over is one rename."""
        name, source = heart.insist(lambda: context.desk.base_source(claim))
        target = _unfinished(name, claim, context)
        durable.make_folder(target.parent)
        for earlier in target.parent.glob(f".{claim.job.id}-*"):
            durable.remove_tree(earlier)
        preflight.require_disk(context, expected_bytes=0)
        spec = InspectSpec(source=source, target=str(target))
        folder.spec.write_text(spec.model_dump_json(indent=1), encoding="utf-8")

    def finish(
        self,
        claim: Claim,
        context: WorkerContext,
        *,
        folder: JobFolder,
        heart: Heart,
        scores: tuple[ScoreEvent, ...],
    ) -> None:
        """Move the converted model to its place, named by its digest, then record what was read.

        Raises:
            CorruptError: the facts or the converted model are missing.
            ConflictError: the registry refused them.
        """
        del scores
        facts = _read_facts(folder.out / _FACTS)
        name, _source = heart.insist(lambda: context.desk.base_source(claim))
        target = _unfinished(name, claim, context)
        place = target.parent / facts.digest[:_DIGEST_DIGITS]
        if not place.is_dir():
            if not target.is_dir():
                raise CorruptError("the inspection left no converted model")
            durable.sync_tree(target)
            durable.move(target, place)
        durable.remove_tree(target)
        heart.insist(lambda: context.desk.record_facts(claim, facts=facts, path=str(place)))
        context.notify_engine()


def _unfinished(name: str, claim: Claim, context: WorkerContext) -> Path:
    return context.base_models_dir / name / f".{claim.job.id}-{claim.fence}"


def _read_facts(path: Path) -> BaseFacts:
    if not path.is_file():
        raise CorruptError("the inspection left no facts")
    try:
        return BaseFacts.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise CorruptError(f"the inspection's facts have {error.error_count()} faults") from error

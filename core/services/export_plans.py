"""What a worker must stage for one `export` job, resolved from the registry."""

from dataclasses import dataclass
from typing import Final

from core.domain.base_facts import BaseFacts
from core.domain.errors import ConflictError
from core.domain.export_spec import Card, CardScore, CardTask
from core.domain.exports import Export, ExportFormat, expected_bytes
from core.domain.jobs import JobKind
from core.domain.lineage import Lineage
from core.domain.metrics import PERPLEXITY
from core.domain.records import BaseModel, Job, Model, Task, Version
from core.domain.scores import Score
from core.domain.times import timestamp
from core.registry import base_models, datasets, measures, models, tasks, versions
from core.registry.work import Work
from core.services import lineage_cuts, lineages
from core.services.chains import ChainDelta, deltas, is_ready
from core.services.exports import require_export

_OF_THIS_MACHINE: Final = "folder:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """Everything that an `ExportSpec` says, before the files have paths in the job's folder.

    Attributes:
        lineage: of the version, which a `delta` export is; None of any other.
        disk_bytes: of the chain's deltas, which are fetched, and of about what will be written.
    """

    export: Export
    base_path: str
    base_digest: str
    chain: tuple[ChainDelta, ...]
    version_digest: str
    card: Card
    lineage: Lineage | None
    disk_bytes: int


def build(work: Work, *, job: Job) -> ExportPlan:
    """Return the plan of a claimed `export` job.

    Raises:
        ConflictError: ``parent_conflict``: the version is no longer ready; ``wrong_kind``: it is another job.
        MissingError: ``export_not_found``.
    """
    if job.kind is not JobKind.EXPORT or job.parent_version_id is None:
        raise ConflictError("only a claimed export job has this plan", code="wrong_kind")
    export = require_export(work, project_id=job.project_id, export_id=job.params["export_id"])
    version = versions.get(work, job.parent_version_id)
    if not is_ready(work, version):
        raise ConflictError("the version is no longer ready", code="parent_conflict")
    model = models.get(work, version.model_id)
    base = base_models.get(work, model.base_model_id)
    links = versions.by_id(work, version.chain)
    size = sum((links[link].delta or {}).get("size_bytes", 0) for link in version.chain)
    facts = BaseFacts.model_validate(base.facts)
    return ExportPlan(
        export=export,
        base_path=str(base.path),
        base_digest=str(base.digest),
        chain=deltas(work, version),
        version_digest=version.digest,
        card=_Writer(work, model, base, facts).card(version, [links[link] for link in version.chain]),
        lineage=_lineage(work, model, version) if export.format is ExportFormat.DELTA else None,
        disk_bytes=size + expected_bytes(export.format, export.dtype, facts, delta_bytes=size),
    )


def _lineage(work: Work, model: Model, version: Version) -> Lineage:
    whole = lineages.describe(work, project_id=model.project_id, model=model.id)
    return lineage_cuts.up_to(whole, version_id=version.id)


class _Writer:
    """Writes what the registry knows of a version as the model card has it."""

    def __init__(self, work: Work, model: Model, base: BaseModel, facts: BaseFacts) -> None:
        self._work = work
        self._model = model
        self._base = base
        self._facts = facts

    def card(self, version: Version, chain: list[Version]) -> Card:
        learned = [link for link in chain if link.task_id]
        known = tasks.by_id(self._work, [str(link.task_id) for link in learned])
        scores = measures.scores(self._work, [version.id])
        return Card(
            model=self._model.name,
            version=f"{self._model.name}@{version.number}",
            made_at=timestamp(version.created_ms),
            base_name=self._base.name,
            base_source=None if self._base.source.startswith(_OF_THIS_MACHINE) else self._base.source,
            base_digest=str(self._base.digest),
            base_licence=self._facts.licence,
            architecture=self._facts.architecture,
            tasks=tuple(self._task(link, known[str(link.task_id)], scores) for link in learned),
            left_out=self._left_out(version),
            densities=tuple((link.delta or {}).get("density") for link in learned),
            perplexity=self._perplexity(version.id),
            base_perplexity=self._perplexity(self._zero().id),
        )

    def _task(self, link: Version, task: Task, scores: tuple[Score, ...]) -> CardTask:
        rows = datasets.get(self._work, task.dataset_id)
        own = sorted((score for score in scores if score.task_id == task.id), key=lambda score: score.metric)
        return CardTask(
            name=task.name,
            learned_in=f"{self._model.name}@{link.number}",
            method=task.spec.get("method"),
            format=rows.format,
            n_rows=rows.n_rows,
            scores=tuple(
                CardScore(metric=each.metric, value=each.value, low=each.low, high=each.high, n_rows=each.n_rows)
                for each in own
            ),
        )

    def _left_out(self, version: Version) -> tuple[str, ...]:
        """Return the tasks that were taken out on the way to the version, and that it has not learned again."""
        held, gone = version.chain, set[str]()
        while version.parent_id is not None:
            parent = versions.get(self._work, version.parent_id)
            gone.update(link for link in parent.chain if link not in version.chain)
            version = parent
        links = versions.by_id(self._work, {*gone, *held})
        learned = {links[link].task_id for link in held}
        named = tasks.by_id(self._work, {str(links[link].task_id) for link in gone if links[link].task_id})
        return tuple(sorted(task.name for task in named.values() if task.id not in learned))

    def _zero(self) -> Version:
        found = versions.find_number(self._work, model_id=self._model.id, number=0)
        if found is None:
            raise LookupError("a model without its version 0 cannot be")
        return found

    def _perplexity(self, version_id: str) -> float | None:
        found = measures.general_scores(self._work, [version_id])
        return next((score.value for score in found if score.metric == PERPLEXITY), None)

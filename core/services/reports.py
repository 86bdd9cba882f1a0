"""The report of a model: everything that the registry knows of what it learned, in one value."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from core.domain.metrics import OPTION_LIKELIHOOD, PERPLEXITY
from core.domain.model_report import (
    BaseUsed,
    DeltaOverlap,
    GateFinding,
    GateVerdict,
    Learned,
    Measure,
    ModelReport,
    Step,
    Summary,
    VersionEntry,
)
from core.domain.records import Model, Version
from core.domain.scores import Score
from core.domain.times import timestamp
from core.registry import base_models, measures, tasks
from core.registry.work import Work
from core.services import evaluations, gates, versions
from core.services.naming import require_model
from core.services.versions import LineageEntry

Row = Sequence[float | None]


def of_model(work: Work, *, project_id: str, model: str) -> ModelReport:
    """Return the report of a model (name or id).

    Raises:
        MissingError: ``model_not_found``.
    """
    found = require_model(work, project_id=project_id, reference=model)
    entries = versions.lineage(work, project_id=project_id, model=found.id)
    return _Writer(work, found, {entry.version.id: entry for entry in entries}).report()


def summaries(scores: Sequence[Row]) -> tuple[Summary, ...]:
    """Return the figures after each task of a lineage whose i-th version learned the i-th task."""
    steps = range(1, len(scores) + 1)
    return tuple(_summary([row[:n] for row in scores[:n]], range(n), [None] * n) for n in steps)


class _Writer:
    """Writes one model's report from its rows, each read once."""

    def __init__(self, work: Work, model: Model, entries: Mapping[str, LineageEntry]) -> None:
        self._work = work
        self._model = model
        self._entries = entries
        self._matrix = evaluations.matrix(work, project_id=model.project_id, model=model.id)
        self._tasks = tasks.by_id(work, self._matrix.task_ids)
        self._base = next(entry.version for entry in entries.values() if entry.version.number == 0)
        everyone = [self._base.id, *self._matrix.versions]
        found = (*measures.scores(work, everyone), *measures.general_scores(work, everyone))
        self._measures = {(score.version_id, score.task_id, score.metric): _measure(score) for score in found}

    def report(self) -> ModelReport:
        matrix, base = self._matrix, base_models.get(self._work, self._model.base_model_id)
        latest = next(entry for entry in self._entries.values() if "latest" in entry.aliases)
        return ModelReport(
            model=self._model.name,
            made_at=timestamp(self._work.now_ms()),
            created_at=timestamp(self._model.created_ms),
            base=BaseUsed(name=base.name, digest=base.digest),
            latest=self._name(latest.version),
            learned=self._learned(),
            lineage=tuple(self._step(self._entries[version_id].version) for version_id in matrix.versions),
            scores=tuple(self._row(version_id, matrix.metrics) for version_id in matrix.versions),
            base_scores=self._row(self._base.id, matrix.metrics),
            base_option_scores=self._row(self._base.id, [OPTION_LIKELIHOOD] * len(matrix.tasks)),
            base_perplexity=self._measures.get((self._base.id, None, PERPLEXITY)),
            after=tuple(self._after(step) for step in range(len(matrix.versions))),
            overlaps=self._overlaps(),
            versions=tuple(self._entry(entry) for entry in self._entries.values()),
        )

    def _name(self, version: Version) -> str:
        return f"{self._model.name}@{version.number}"

    def _row(self, version_id: str, metrics: Sequence[str]) -> tuple[Measure | None, ...]:
        asked = zip(self._matrix.task_ids, metrics, strict=True)
        return tuple(self._measures.get((version_id, task_id, metric)) for task_id, metric in asked)

    def _learned(self) -> tuple[Learned, ...]:
        matrix = self._matrix
        return tuple(
            Learned(
                task=task.name,
                version=self._name(self._entries[matrix.versions[step]].version),
                metric=metric,
                method=task.spec.get("method"),
                settings=task.spec,
                left_out=left_out,
            )
            for task, step, metric, left_out in zip(
                map(self._tasks.__getitem__, matrix.task_ids),
                matrix.learned_in,
                matrix.metrics,
                matrix.left_out,
                strict=True,
            )
        )

    def _step(self, version: Version) -> Step:
        delta = version.delta or {}
        parent = self._entries[version.parent_id or self._base.id].version
        gone = [self._entries[link].task_name for link in parent.chain if link not in version.chain]
        return Step(
            version=self._name(version),
            task=self._entries[version.id].task_name,
            left_out=tuple(name for name in gone if name),
            density=delta.get("density"),
            delta_bytes=delta.get("size_bytes"),
            perplexity=self._measures.get((version.id, None, PERPLEXITY)),
        )

    def _after(self, step: int) -> Summary:
        """Return the figures when this step was the last one, over the tasks that it holds."""
        matrix = self._matrix
        chain = self._entries[matrix.versions[step]].version.chain
        held = [t for t, row in enumerate(matrix.learned_in) if matrix.versions[row] in chain]
        rows = [[row[t] for t in held] for row in matrix.scores[: step + 1]]
        return _summary(rows, [matrix.learned_in[t] for t in held], [matrix.scratch_scores[t] for t in held])

    def _overlaps(self) -> tuple[DeltaOverlap, ...] | None:
        places = {version_id: step for step, version_id in enumerate(self._matrix.versions)}
        found = [
            DeltaOverlap(earlier=places[link], later=later, shared=figures["shared"], cosine=figures["cosine"])
            for version_id, later in places.items()
            for link, figures in self._compared(self._entries[version_id].version)
        ]
        return tuple(found) or None

    def _compared(self, version: Version) -> list[tuple[str, Mapping[str, float]]]:
        """Return the links before a version's own, each with what its delta has in common with the version's."""
        overlaps = (version.delta or {}).get("overlaps")
        return [] if overlaps is None else list(zip(version.chain[:-1], overlaps, strict=True))

    def _entry(self, entry: LineageEntry) -> VersionEntry:
        version = entry.version
        return VersionEntry(
            version=self._name(version),
            state=version.state,
            parent=self._name(self._entries[version.parent_id].version) if version.parent_id else None,
            task=entry.task_name,
            aliases=entry.aliases,
            made_at=timestamp(version.created_ms),
            digest=version.digest,
            gate=_gate(version),
        )


def _gate(version: Version) -> GateVerdict | None:
    report = gates.report_of(version)
    if report is None:
        return None
    findings = tuple(
        GateFinding(rule=each.rule, verdict=each.verdict, limit=each.limit, figures=each.figures, says=each.says)
        for each in report.rules
    )
    return GateVerdict(verdict=report.verdict, findings=findings)


def _measure(score: Score) -> Measure:
    return Measure(value=score.value, low=score.low, high=score.high, n_rows=score.n_rows)


def _summary(scores: Sequence[Row], learned_in: Sequence[int], scratch: Row) -> Summary:
    found = evaluations.figures(scores, learned_in, scratch)
    counts = {f"{name}_tasks": count for name, count in asdict(found["n_tasks"]).items()}
    return Summary(**{**found, **counts, "n_tasks": len(learned_in)})

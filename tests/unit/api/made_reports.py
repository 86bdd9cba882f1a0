"""Reports of models that never were."""

import random
from dataclasses import replace
from typing import Any

from core.domain.model_report import (
    BaseUsed,
    DeltaOverlap,
    GateFinding,
    GateVerdict,
    Learned,
    Measure,
    ModelReport,
    Step,
    VersionEntry,
)
from core.services.reports import summaries

MADE_AT = "2026-01-02T03:04:05.678Z"


def made_report(n_tasks: int, *, seed: int = 0, **changes: Any) -> ModelReport:
    """Return the report of a model that learned so many tasks, each forgotten a little after each."""
    draw = random.Random(seed)
    names = [f"task-{n}" for n in range(n_tasks)]
    values = [
        tuple(round(0.9 - 0.02 * (i - t) - 0.1 * draw.random(), 4) if t <= i else None for t in range(n_tasks))
        for i in range(n_tasks)
    ]
    found = ModelReport(
        model="desk",
        made_at=MADE_AT,
        created_at=MADE_AT,
        base=BaseUsed(name="tiny", digest="b" * 64),
        latest=f"desk@{n_tasks}",
        learned=tuple(_learned(name, n) for n, name in enumerate(names, start=1)),
        lineage=tuple(_step(name, n, draw) for n, name in enumerate(names, start=1)),
        scores=tuple(tuple(_measure(value) for value in row) for row in values),
        base_scores=tuple(_measure(round(0.2 * draw.random(), 4)) for _ in names),
        base_option_scores=tuple(_measure(round(0.3 + 0.2 * draw.random(), 4)) for _ in names),
        base_perplexity=Measure(value=14.2, low=13.5, high=15.1, n_rows=80),
        after=summaries(values),
        overlaps=_overlaps(n_tasks, draw),
        versions=tuple(_version(n) for n in range(n_tasks + 1)),
    )
    return replace(found, **changes)


def rebuilt_report(n_tasks: int, *, without: int) -> ModelReport:
    """Return the report of a model whose latest version was rebuilt without one task, counted from 0."""
    found = made_report(n_tasks)
    gone, name = found.learned[without].task, f"desk@{n_tasks + 1}"
    lost = tuple(_measure(0.1) if t == without else cell for t, cell in enumerate(found.scores[-1]))
    return replace(
        found,
        latest=name,
        learned=tuple(replace(each, left_out=t == without) for t, each in enumerate(found.learned)),
        lineage=(*found.lineage, Step(version=name, task=None, left_out=(gone,), delta_bytes=None)),
        scores=(*found.scores, lost),
        after=(*found.after, replace(found.after[-1], n_tasks=n_tasks - 1)),
        versions=(*found.versions, replace(_version(n_tasks + 1), task=None)),
    )


def _learned(name: str, number: int) -> Learned:
    training = {"epochs": None, "learning_rate": 0.002, "seed": 42 + number}
    return Learned(
        task=name,
        version=f"desk@{number}",
        metric="exact_match",
        method="jumplora+ella",
        settings={"method": "jumplora+ella", "training": training, "objectives": {"ella": {"strength": 30000.0}}},
    )


def _step(name: str, number: int, draw: random.Random) -> Step:
    perplexity = round(14.2 + draw.random(), 4)
    return Step(
        version=f"desk@{number}",
        task=name,
        density=round(0.2 * draw.random(), 4),
        delta_bytes=draw.randrange(10**6),
        perplexity=Measure(
            value=perplexity, low=round(perplexity - 0.7, 4), high=round(perplexity + 0.7, 4), n_rows=80
        ),
    )


def _measure(value: float | None) -> Measure | None:
    if value is None:
        return None
    return Measure(value=value, low=round(value - 0.04, 4), high=round(value + 0.04, 4), n_rows=200)


def _overlaps(n_tasks: int, draw: random.Random) -> tuple[DeltaOverlap, ...]:
    return tuple(
        DeltaOverlap(
            earlier=earlier,
            later=later,
            shared=round(0.3 * draw.random(), 4),
            cosine=round(0.4 * (draw.random() - 0.5), 4),
        )
        for later in range(n_tasks)
        for earlier in range(later)
    )


def _version(number: int) -> VersionEntry:
    return VersionEntry(
        version=f"desk@{number}",
        state="ready",
        parent=f"desk@{number - 1}" if number else None,
        task=f"task-{number - 1}" if number else None,
        aliases=("latest", "stable") if number == 1 else (),
        made_at=MADE_AT,
        digest=f"{number:064x}",
        gate=_verdict(number) if number else None,
    )


def _verdict(number: int) -> GateVerdict:
    findings = (
        GateFinding(
            rule="above_chance", verdict="passed", limit=0.5, figures={"low": 0.8125}, says="well above chance"
        ),
        GateFinding(
            rule="mean_drop", verdict="not_judged", limit=None, figures={}, says=f"too few rows: version {number}"
        ),
    )
    return GateVerdict(verdict="passed", findings=findings)

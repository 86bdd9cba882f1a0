"""The figures of a model's report: its numbers as drawings, for the page and for files."""

from collections.abc import Callable
from typing import Final

from api.pages import bars, colours, curves, heat_maps
from api.pages.curves import Line, Panel, Point
from api.pages.drawing import Drawing
from api.pages.heat_maps import Cell, HeatMap
from api.pages.numbers import NOT_MEASURED, measure, percent, share, signed
from core.domain.model_report import DeltaOverlap, Measure, ModelReport, Step, Summary

# Below this reach of a cosine the colours would dramatise noise.
_LEAST_REACH: Final = 0.1


def scores(report: ModelReport) -> Drawing:
    """Draw the score matrix: a row a version, the base first, a column a task."""
    learned_in = first_rows(report)
    rows = [("base", report.base_scores), *zip(_rows(report), report.scores, strict=True)]
    cells = [
        [
            _score(cell, f"{report.learned[t].task} by {name}", is_learned=n < 0 or n >= learned_in[t])
            for t, cell in enumerate(measures)
        ]
        for n, (name, measures) in enumerate(rows, start=-1)
    ]
    heat_map = HeatMap(
        title="Score on each task after each task",
        rows=[name for name, _ in rows],
        columns=[entry.task for entry in report.learned],
        cells=cells,
        scale=colours.shares(),
        unit="score, higher is better; a dashed cell was not measured",
    )
    return heat_maps.drawn(heat_map)


def course(report: ModelReport) -> Drawing:
    """Draw overall accuracy and forgetting after each task."""
    accuracy = _figure_points(report, lambda summary: summary.oa, "OA")
    forgetting = _figure_points(report, lambda summary: summary.forgetting, "forgetting")
    panel = Panel(
        title="Overall accuracy and forgetting after each task",
        steps=_steps(report),
        lines=[Line("OA so far", accuracy, "first"), Line("forgetting so far", forgetting, "second")],
        low=min([0.0, *(point.value for point in forgetting)]),
    )
    return curves.large(panel)


def tasks(report: ModelReport) -> Drawing:
    """Draw each task's score after each task, with its interval and what the base scores."""
    return curves.small("Each task's score after each task", [_task(report, t) for t in range(len(report.learned))])


def density(report: ModelReport) -> Drawing:
    """Draw the share of the adapted weights that each version changes."""
    found = [
        bars.Bar(name, step.density, percent(step.density))
        for name, step in zip(_rows(report), report.lineage, strict=True)
        if step.task
    ]
    return bars.drawn("Density of each version's delta", found)


def shared(report: ModelReport) -> Drawing:
    """Draw which share of its entries each delta has in common with each earlier one."""
    return _pairs(
        report,
        lambda pair: pair.shared,
        title="Entries that two deltas share",
        scale=colours.shares(),
        unit="share of the sparser delta's entries that the other changes too",
    )


def cosine(report: ModelReport) -> Drawing:
    """Draw how far each two deltas point the same way."""
    reach = max([_LEAST_REACH, *(abs(pair.cosine) for pair in report.overlaps or ())])
    return _pairs(
        report,
        lambda pair: pair.cosine,
        title="Cosine of two deltas",
        scale=colours.around_zero(reach),
        unit="cosine: 0 where they are orthogonal, below 0 where one undoes the other",
    )


def everything(report: ModelReport) -> list[Drawing]:
    """Return every figure for which there is something to draw."""
    if not report.learned:
        return []
    pairs = [shared(report), cosine(report)] if report.overlaps else []
    general = [ability(report)] if has_ability(report) else []
    return [scores(report), course(report), tasks(report), *general, density(report), *pairs]


def has_ability(report: ModelReport) -> bool:
    """Return whether general ability was measured at all."""
    return report.base_perplexity is not None or any(step.perplexity for step in report.lineage)


def ability(report: ModelReport) -> Drawing:
    """Draw the perplexity of the general text after each step, and that of the base."""
    found = [(n, step.perplexity) for n, step in enumerate(report.lineage) if step.perplexity]
    points = [_point(n, cell, f"{report.lineage[n].version} on the general text") for n, cell in found]
    base = report.base_perplexity
    measured = [cell for _, cell in found] + ([base] if base else [])
    ends = [end for cell in measured for end in (cell.value, cell.low, cell.high) if end is not None]
    panel = Panel(
        title="Perplexity of the general text after each task",
        steps=_steps(report),
        lines=[Line("perplexity", points, "first")],
        low=min(ends, default=0.0),
        high=max(ends, default=1.0),
        reference=None if base is None else _point(0, base, "the base on the general text"),
    )
    return curves.large(panel)


def first_rows(report: ModelReport) -> list[int]:
    """Return, for each task, the step of the lineage that learned it."""
    places = {step.version: n for n, step in enumerate(report.lineage)}
    return [places[entry.version] for entry in report.learned]


def named(step: Step) -> str:
    """Return what a step did, after the version's number: ``@3 codes``, or ``@4 without codes``."""
    did = step.task or f"without {', '.join(step.left_out)}"
    return f"@{step.version.rpartition('@')[2]} {did}"


def _rows(report: ModelReport) -> list[str]:
    return [named(step) for step in report.lineage]


def _steps(report: ModelReport) -> list[str]:
    """Return the versions by their numbers alone, as ``@3``."""
    return [name.partition(" ")[0] for name in _rows(report)]


def _score(found: Measure | None, of: str, *, is_learned: bool) -> Cell | str | None:
    if found is None:
        return f"{of}: {NOT_MEASURED}" if is_learned else None
    return Cell(found.value, f"{found.value:.2f}", f"{of}: {measure(found)}")


def _point(step: int, cell: Measure, of: str) -> Point:
    return Point(step=step, value=cell.value, low=cell.low, high=cell.high, told=f"{of}: {measure(cell)}")


def _figure_points(report: ModelReport, figure: Callable[[Summary], float | None], name: str) -> list[Point]:
    return [
        Point(step=n, value=value, told=f"{name} of {report.lineage[n].version}: {share(value)}")
        for n, summary in enumerate(report.after)
        if (value := figure(summary)) is not None
    ]


def _task(report: ModelReport, task: int) -> Panel:
    name, base, steps = report.learned[task].task, report.base_scores[task], _rows(report)
    measured = [(n, cell) for n, row in enumerate(report.scores) if (cell := row[task]) is not None]
    return Panel(
        title=name,
        steps=_steps(report),
        lines=[Line(name, [_point(n, cell, f"{name} by {steps[n]}") for n, cell in measured], "first")],
        reference=None if base is None else _point(0, base, f"{name} by the base"),
    )


def _pairs(
    report: ModelReport, figure: Callable[[DeltaOverlap], float], *, title: str, scale: colours.Scale, unit: str
) -> Drawing:
    found = {(pair.later, pair.earlier): figure(pair) for pair in report.overlaps or ()}
    names = _rows(report)
    write = signed if scale.low < 0 else share

    def cell(later: int, earlier: int) -> Cell | str | None:
        if later <= earlier:
            return None
        told = f"{names[later]} and {names[earlier]}"
        value = found.get((later, earlier))
        return f"{told}: {NOT_MEASURED}" if value is None else Cell(value, f"{value:.2f}", f"{told}: {write(value)}")

    # A version that was rebuilt without tasks has no delta of its own.
    places = [n for n, step in enumerate(report.lineage) if step.task]
    heat_map = HeatMap(
        title=title,
        rows=[names[n] for n in places[1:]],
        columns=[names[n] for n in places[:-1]],
        cells=[[cell(later, earlier) for earlier in places[:-1]] for later in places[1:]],
        scale=scale,
        unit=unit,
    )
    return heat_maps.drawn(heat_map)

"""Heat maps: numbers in coloured cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

from api.pages.colours import Scale
from api.pages.drawing import LETTER_PIXELS, Drawing, label, label_pixels
from api.pages.markup import Markup, element, joined
from api.pages.numbers import NOTHING

_CELL: Final = (46.0, 28.0)
_GAP: Final = 8.0
_SLANT: Final = sqrt(0.5)
_LEGEND_HEIGHT: Final = 44.0
_LEGEND_WIDTH: Final = 200.0
_LEGEND_STEPS: Final = 40


@dataclass(frozen=True, slots=True)
class Cell:
    """One number: where it stands on the scale, what is written, and what is told of it when it is pointed at."""

    value: float
    written: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """Cells by row and column; a cell that is a text has no number, and the text says why; None is left empty."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[Cell | str | None]]
    scale: Scale
    unit: str


def drawn(heat_map: HeatMap) -> Drawing:
    """Draw a heat map, with its scale below."""
    left = label_pixels(heat_map.rows) + _GAP
    top = label_pixels(heat_map.columns) * _SLANT + 2 * _GAP
    wide, high = _CELL
    parts = [
        label(name, left - _GAP, top + (n + 0.5) * high + 4.0, class_="row") for n, name in enumerate(heat_map.rows)
    ]
    for n, name in enumerate(heat_map.columns):
        x, y = left + (n + 0.5) * wide, top - _GAP
        parts.append(label(name, x, y, class_="column", transform=f"rotate(-45 {x:.1f} {y:.1f})"))
    for i, row in enumerate(heat_map.cells):
        parts += [_cell(cell, heat_map.scale, left + t * wide, top + i * high) for t, cell in enumerate(row)]
    bottom = top + len(heat_map.rows) * high + _GAP
    parts.append(_legend(heat_map, left, bottom))
    right = max(
        # The last column's name leans out to the right.
        len(heat_map.columns) * wide + label_pixels(heat_map.columns[-1:]) * _SLANT,
        _LEGEND_WIDTH + _CELL[0],
        LETTER_PIXELS * len(heat_map.unit),
    )
    return Drawing(heat_map.title, left + right, bottom + _LEGEND_HEIGHT, joined(*parts))


def _cell(cell: Cell | str | None, scale: Scale, x: float, y: float) -> Markup:
    if cell is None:
        return Markup()
    wide, high = _CELL
    place = {"x": x + 1, "y": y + 1, "width": wide - 2, "height": high - 2, "rx": 3}
    middle = (x + wide / 2, y + high / 2 + 4.0)
    if isinstance(cell, str):
        return element(
            "g",
            element("title", cell),
            element("rect", class_="missing", **place),
            label(NOTHING, *middle, class_="cell"),
        )
    return element(
        "g",
        element("title", cell.told),
        element("rect", fill=scale.fill(cell.value), **place),
        label(cell.written, *middle, class_="cell", fill=scale.ink(cell.value)),
    )


def _legend(heat_map: HeatMap, x: float, y: float) -> Markup:
    scale, step = heat_map.scale, _LEGEND_WIDTH / _LEGEND_STEPS
    span = scale.high - scale.low
    bar = [
        # Half a pixel over: no seams between the steps.
        element(
            "rect",
            x=x + n * step,
            y=y,
            width=step + 0.5,
            height=10,
            fill=scale.fill(scale.low + span * n / (_LEGEND_STEPS - 1)),
        )
        for n in range(_LEGEND_STEPS)
    ]
    ticks = [
        label(f"{scale.low + span * n / 4:.2g}", x + _LEGEND_WIDTH * n / 4, y + 24, class_="tick") for n in range(5)
    ]
    return element("g", *bar, *ticks, label(heat_map.unit, x, y + 40, class_="unit"), class_="legend")

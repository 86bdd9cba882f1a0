"""Curves over the lineage: large with several lines, or small, one for each task."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

from api.pages.drawing import LETTER_PIXELS, Drawing, label, label_pixels, shortened
from api.pages.markup import Markup, element, joined

_LARGE: Final = (560.0, 190.0)
_SMALL: Final = (196.0, 84.0)
_SMALL_GAP: Final = (34.0, 46.0)
_SMALL_PER_ROW: Final = 4
_AXIS_WIDTH: Final = 40.0
_AXIS_HEIGHT: Final = 30.0
_TITLE_HEIGHT: Final = 20.0
_DOT: Final = 2.8
# Two lines' names at the right end stay apart.
_LINE_HEIGHT: Final = 14.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A value at a step of the lineage, with its interval where it has one, and what is told when it is pointed at."""

    step: int
    value: float
    told: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Points by step; where a step has none the line is broken. ``kind`` names its colour in the style."""

    name: str
    points: Sequence[Point]
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Lines over the same steps.

    Attributes:
        steps: what each step is called, e.g. ``@3``.
        low: a value at the bottom or a little above; ``high``: at the top or a little below.
        reference: a value drawn across, e.g. what the base scores.
    """

    title: str
    steps: Sequence[str]
    lines: Sequence[Line]
    low: float = 0.0
    high: float = 1.0
    reference: Point | None = None


def ticks(low: float, high: float, *, most: int) -> list[float]:
    """Return at most so many round numbers and one, at equal distances, that enclose two values."""
    least = (high - low) / (most - 1) or 1.0
    size = 10.0 ** floor(log10(least))
    step = next(size * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if size * factor >= least * (1 - 1e-9))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def large(panel: Panel) -> Drawing:
    """Draw one panel with its axes; each line is named at its end."""
    width, height = _LARGE
    frame = _Frame(panel, width, height, ticks(panel.low, panel.high, most=6))
    names = _ends(panel, frame)
    content = element(
        "g", frame.grid(), frame.steps_below(), frame.body(), *names, transform=f"translate({_AXIS_WIDTH:.0f} 8)"
    )
    right = label_pixels([line.name for line in panel.lines]) + 16
    return Drawing(panel.title, _AXIS_WIDTH + width + right, height + _AXIS_HEIGHT + 8, content)


def small(title: str, panels: Sequence[Panel]) -> Drawing:
    """Draw panels beside and below one another, each with its title."""
    width, height = _SMALL
    across, down = width + _SMALL_GAP[0], height + _SMALL_GAP[1]
    parts = []
    for n, panel in enumerate(panels):
        x = 30 + (n % _SMALL_PER_ROW) * across
        y = _TITLE_HEIGHT + (n // _SMALL_PER_ROW) * down
        frame = _Frame(panel, width, height, ticks(panel.low, panel.high, most=3))
        named = label(panel.title, 0, -6, class_="small")
        parts.append(
            element(
                "g", named, frame.grid(), frame.steps_below(), frame.body(), transform=f"translate({x:.0f} {y:.0f})"
            )
        )
    rows = -(-len(panels) // _SMALL_PER_ROW)
    return Drawing(title, 30 + min(len(panels), _SMALL_PER_ROW) * across, max(rows * down, 1.0), joined(*parts))


@dataclass(frozen=True, slots=True)
class _Frame:
    """A panel within its rectangle: the origin is the rectangle's upper left corner."""

    panel: Panel
    width: float
    height: float
    ticks: Sequence[float]

    def x(self, step: int) -> float:
        steps = len(self.panel.steps)
        return self.width * (step + 0.5) / steps if steps else 0.0

    def y(self, value: float) -> float:
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return self.height * (1.0 - min(max(share, 0.0), 1.0))

    def grid(self) -> Markup:
        parts = []
        for value in self.ticks:
            y = self.y(value)
            parts += [
                element("line", x1=0, x2=self.width, y1=y, y2=y, class_="grid"),
                label(f"{value:.3g}", -6, y + 4, class_="row tick"),
            ]
        return joined(*parts)

    def steps_below(self) -> Markup:
        names = self.panel.steps
        room = LETTER_PIXELS * (max((len(name) for name in names), default=0) + 1.5)
        every = max(1, -(-int(room * len(names)) // int(self.width)))
        return joined(
            *(label(name, self.x(n), self.height + 15, class_="tick") for n, name in enumerate(names) if n % every == 0)
        )

    def body(self) -> Markup:
        return joined(self._reference(), *(self._line(line) for line in self.panel.lines))

    def _reference(self) -> Markup:
        point = self.panel.reference
        if point is None:
            return Markup()
        y = self.y(point.value)
        return element(
            "g", element("title", point.told), element("line", x1=0, x2=self.width, y1=y, y2=y), class_="base"
        )

    def _line(self, line: Line) -> Markup:
        parts = []
        for run in _unbroken(line.points):
            parts += [self._band(run), self._path(run)]
        return element("g", *parts, *(self._dot(point) for point in line.points), class_=f"line {line.kind}")

    def _path(self, run: Sequence[Point]) -> Markup:
        places = " ".join(f"{self.x(point.step):.1f},{self.y(point.value):.1f}" for point in run)
        return element("polyline", points=places)

    def _band(self, run: Sequence[Point]) -> Markup:
        upper = [(self.x(point.step), self.y(point.high)) for point in run if point.high is not None]
        lower = [(self.x(point.step), self.y(point.low)) for point in run if point.low is not None]
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*upper, *reversed(lower)])
        return element("polygon", points=places) if places else Markup()

    def _dot(self, point: Point) -> Markup:
        return element("circle", element("title", point.told), cx=self.x(point.step), cy=self.y(point.value), r=_DOT)


def _unbroken(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Yield the points in runs without a missing step."""
    run: list[Point] = []
    for point in points:
        if run and point.step != run[-1].step + 1:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def _ends(panel: Panel, frame: _Frame) -> list[Markup]:
    """Return each line's name beside its last point, none over another."""
    ends = sorted(
        ((frame.y(line.points[-1].value), frame.x(line.points[-1].step), line) for line in panel.lines if line.points),
        key=lambda end: end[0],
    )
    placed: list[Markup] = []
    taken = -_LINE_HEIGHT
    for wanted, x, line in ends:
        taken = max(wanted, taken + _LINE_HEIGHT)
        placed.append(label(shortened(line.name), x + 10, taken + 4, class_=f"name {line.kind}"))
    return placed

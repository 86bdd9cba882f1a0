"""Bars: one value for each name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from api.pages.drawing import LETTER_PIXELS, Drawing, label, label_pixels
from api.pages.markup import Markup, element, joined

_ROW_HEIGHT: Final = 24.0
_WIDTH: Final = 420.0
_GAP: Final = 8.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One value, from 0, and how it is written; None where there is none, and what is written says why."""

    name: str
    value: float | None
    written: str


def drawn(title: str, bars: Sequence[Bar]) -> Drawing:
    """Draw bars below one another; the longest fills the width."""
    left = label_pixels([bar.name for bar in bars]) + _GAP
    longest = max((bar.value or 0.0 for bar in bars), default=0.0) or 1.0
    rows = [_row(bar, left, n * _ROW_HEIGHT, _WIDTH / longest) for n, bar in enumerate(bars)]
    right = LETTER_PIXELS * max((len(bar.written) for bar in bars), default=0) + 2 * _GAP
    return Drawing(title, left + _WIDTH + right, len(bars) * _ROW_HEIGHT + 4.0, joined(*rows))


def _row(bar: Bar, left: float, y: float, scale: float) -> Markup:
    length = (bar.value or 0.0) * scale
    return element(
        "g",
        label(bar.name, left - _GAP, y + 16, class_="row"),
        element("rect", x=left, y=y + 4, width=length, height=_ROW_HEIGHT - 8, rx=2, class_="bar"),
        label(bar.written, left + length + _GAP, y + 16, class_="value"),
    )

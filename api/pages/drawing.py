"""Drawings: SVG of a known size, alone or one below another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from api.pages.markup import Markup, element, joined, text
from api.pages.style import STYLE

# Room for one letter: labels are placed before any browser has measured them, and its default letters may be wide.
LETTER_PIXELS: Final = 7.4
LONGEST_LABEL: Final = 24
_SVG: Final = "http://www.w3.org/2000/svg"
_MARGIN: Final = 16.0
_HEADING_PIXELS: Final = 26.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn, in pixels; the title tells readers who do not see it what it is."""

    title: str
    width: float
    height: float
    content: Markup

    def inline(self) -> Markup:
        """Return the drawing for a page, which brings the style."""
        return self._element(role="img", aria_label=self.title)

    def at(self, x: float, y: float) -> Markup:
        """Return the drawing at a place of another one."""
        return self._element(x=x, y=y)

    def _element(self, **attributes: str | float) -> Markup:
        view = f"0 0 {self.width:.0f} {self.height:.0f}"
        return element("svg", self.content, viewBox=view, width=self.width, height=self.height, **attributes)


def file(drawings: Sequence[Drawing], *, title: str) -> str:
    """Return an SVG file with the drawings below one another, each under its title."""
    parts, y = [label(title, _MARGIN, _MARGIN + 8, class_="heading")], _MARGIN + _HEADING_PIXELS
    for drawing in drawings:
        parts += [label(drawing.title, _MARGIN, y + 12.0, class_="title"), drawing.at(_MARGIN, y + _HEADING_PIXELS)]
        y += drawing.height + 2 * _HEADING_PIXELS
    width = 2 * _MARGIN + max((drawing.width for drawing in drawings), default=480.0)
    paper = element("rect", width="100%", height="100%", class_="paper")
    return element(
        "svg",
        element("title", title),
        element("style", Markup(STYLE)),
        paper,
        *parts,
        xmlns=_SVG,
        viewBox=f"0 0 {width:.0f} {y:.0f}",
        width=width,
        height=y,
    )


def label(words: str, x: float, y: float, **attributes: str | float | None) -> Markup:
    """Return a line of text that begins, or by its ``class_`` ends or is centred, at a place; long ones are cut."""
    shown = shortened(words) if attributes.get("class_") in {"row", "column"} else words
    whole = element("title", words) if shown != words else Markup()
    return element("text", joined(text(shown), whole), x=x, y=y, **attributes)


def shortened(words: str) -> str:
    """Return a label as it is drawn."""
    return words if len(words) <= LONGEST_LABEL else words[: LONGEST_LABEL - 1] + "…"


def label_pixels(labels: Sequence[str]) -> float:
    """Return the room that the longest of some row or column labels takes."""
    return LETTER_PIXELS * max((len(shortened(each)) for each in labels), default=0)

"""Markup made of elements and text: what is text is escaped, whatever it says.

What comes out is well-formed XML and reads the same as HTML.
"""

import html
import re
from typing import Final

Value = str | int | float | None

_WITHOUT_END: Final = frozenset({"meta"})
# What XML cannot hold, escaped or not (XML 1.0, production 2), and what turns the direction of the text around it.
_UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: str) -> Markup:
    """Return a text as markup that shows it."""
    return value if isinstance(value, Markup) else Markup(html.escape(_UNWRITABLE.sub("\ufffd", value)))


def joined(*parts: str) -> Markup:
    """Return parts one after another."""
    return Markup("".join(text(part) for part in parts))


def element(name: str, /, *content: str, **attributes: Value) -> Markup:
    """Return an element, e.g. ``element("td", "3 < 4", class_="figure", stroke_width=2)``.

    An underscore in an attribute's name is a hyphen, one at its end is dropped; an attribute that is None is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(_attribute(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _WITHOUT_END:
        return Markup(f"<{name}{written} />")
    return Markup(f"<{name}{written}>{joined(*content)}</{name}>")


def _attribute(value: str | float) -> str:
    # Coordinates to a hundredth of a pixel.
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)

"""The licence of a base model, as its maker states it: recorded once, and told with everything that is made of it."""

import re
from importlib import metadata
from pathlib import Path
from typing import Final

CARD: Final = "README.md"
_WHEEL: Final = "wheel:"
_FRONT_MATTER: Final = re.compile(r"\A---\r?\n(.*?)\r?\n---", re.DOTALL)
_LICENCE: Final = re.compile(r"^license: *[\"']?([^\"'\r\n#]+?)[\"']? *$", re.MULTILINE)
# What is longer is a licence's text rather than its name.
_MAX_CHARS: Final = 100
_MAX_BYTES: Final = 1024 * 1024


def of(source: str, folder: Path) -> str | None:
    """Return what is stated by an installed distribution's metadata, or by the front matter of a model card.

    Args:
        source: see `core.weights.sources.materialise`.
        folder: what was made of it.
    """
    stated = _of_distribution(source.removeprefix(_WHEEL)) if source.startswith(_WHEEL) else _of_card(folder / CARD)
    return stated if stated and len(stated) <= _MAX_CHARS else None


def _of_distribution(name: str) -> str | None:
    about = metadata.metadata(name)
    stated = [about[field] for field in ("License-Expression", "License") if field in about]
    return next(iter(stated), None)


def _of_card(card: Path) -> str | None:
    if not card.is_file() or card.stat().st_size > _MAX_BYTES:
        return None
    front = _FRONT_MATTER.match(card.read_text(encoding="utf-8", errors="replace"))
    found = _LICENCE.search(front[1]) if front else None
    return found[1] if found else None

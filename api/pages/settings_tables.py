"""The settings of several tasks: what is the same for all of them once, what differs side by side."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.pages.markup import Markup, element, joined
from api.pages.numbers import NOTHING
from api.pages.tables import words_table


def settings_tables(tasks: Sequence[tuple[str, Mapping[str, Any]]]) -> Markup:
    """Return tables of the tasks' settings, each setting by its path as ``training.epochs``."""
    flat = [dict(_paths(settings)) for _, settings in tasks]
    paths = list(dict.fromkeys(path for settings in flat for path in settings))
    same = [path for path in paths if len({_written(settings, path) for settings in flat}) == 1]
    differing = [path for path in paths if path not in same]
    names = [name for name, _ in tasks]
    parts = []
    if differing:
        rows = [(_code(path), *(_code(_written(settings, path)) for settings in flat)) for path in differing]
        parts.append(words_table("What differs", ("setting", *names), rows))
    shared = [(_code(path), _code(_written(flat[0], path))) for path in same]
    if shared:
        whom = "all tasks" if len(names) > 1 else names[0]
        parts.append(
            words_table(f"The same for {whom}" if len(names) > 1 else f"For {whom}", ("setting", "value"), shared)
        )
    return joined(*parts)


def _paths(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _paths(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _written(settings: Mapping[str, Any], path: str) -> str:
    return json.dumps(settings[path], ensure_ascii=False) if path in settings else NOTHING


def _code(words: str) -> Markup:
    return element("code", words)

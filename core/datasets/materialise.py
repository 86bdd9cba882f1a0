"""From stored files to the rendered rows that a trainer reads."""

import json
from collections.abc import Iterator
from pathlib import Path

from core.datasets import rows
from core.datasets.catalogue import FORMATS
from core.datasets.example import Example
from core.datasets.split import Side, split
from core.datasets.templates import Template


def examples(blob: Path, *, template: Template, side: Side = Side.ALL) -> Iterator[Example]:
    """Yield the rendered rows of one side of a stored file, in the file's order."""
    if side is Side.ALL:
        yield from (template.render(row) for row in rows.read(blob))
        return
    columns = FORMATS[template.format].columns
    sides = split(rows.digests(blob, format_name=template.format))
    for row in rows.read(blob):
        if sides.holds(side, rows.digest(row, columns=columns)):
            yield template.render(row)


def materialise(blob: Path, *, template: Template, target: Path, side: Side = Side.ALL) -> int:
    """Write JSON Lines of ``{"prompt", "target", "options"?, "cut"?}`` to ``target`` and return how many.

    Args:
        blob: a stored, accepted file of the template's format.
        template: how each row is rendered.
        target: the file to write.
        side: `Side.TRAIN` and `Side.EVALUATION` for the one-in-ten split, `Side.ALL` where the task has its own
            evaluation file.
    """
    n_rows = 0
    with target.open("w", encoding="utf-8") as file:
        for example in examples(blob, template=template, side=side):
            file.write(json.dumps(_as_json(example), ensure_ascii=False) + "\n")
            n_rows += 1
    return n_rows


def _as_json(example: Example) -> dict[str, object]:
    row: dict[str, object] = {"prompt": example.prompt, "target": example.target}
    if example.options is not None:
        row["options"] = list(example.options)
    if example.cut is not None:
        row["cut"] = list(example.cut)
    return row

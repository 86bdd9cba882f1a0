"""From stored files to the rendered rows that a trainer reads."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from core.datasets import rows
from core.datasets.catalogue import FORMATS
from core.datasets.containers.container import Container
from core.datasets.example import Conversation, Document, Rendered
from core.datasets.split import Side, split
from core.datasets.templates import Template


def examples(
    blob: Path, *, template: Template, side: Side = Side.ALL, container: Container = Container.JSONL
) -> Iterator[Rendered]:
    """Yield the rendered rows of one side of a stored file, in the file's order."""
    if side is Side.ALL:
        yield from (template.render(row) for row in rows.read(blob, container=container))
        return
    columns = FORMATS[template.format].columns
    sides = split(rows.digests(blob, format_name=template.format, container=container))
    for row in rows.read(blob, container=container):
        if sides.holds(side, rows.digest(row, columns=columns)):
            yield template.render(row)


def materialise(
    blob: Path, *, template: Template, target: Path, side: Side = Side.ALL, container: Container = Container.JSONL
) -> int:
    """Write JSON Lines to ``target`` and return how many.

    Each is ``{"prompt", "target", "options"?, "cut"?}``, ``{"turns": [{"role", "content", "learned"}]}`` or
    ``{"document"}``, as the template's format has it.

    Args:
        blob: a stored, accepted file of the template's format.
        template: how each row is rendered.
        target: the file to write.
        side: `Side.TRAIN` and `Side.EVALUATION` for the one-in-ten split, `Side.ALL` where the task has its own
            evaluation file.
        container: what holds the stored rows.
    """
    n_rows = 0
    with target.open("w", encoding="utf-8") as file:
        for example in examples(blob, template=template, side=side, container=container):
            file.write(json.dumps(_as_json(example), ensure_ascii=False) + "\n")
            n_rows += 1
    return n_rows


def _as_json(rendered: Rendered) -> dict[str, object]:
    if isinstance(rendered, Conversation):
        return {"turns": [asdict(turn) for turn in rendered.turns]}
    if isinstance(rendered, Document):
        return {"document": rendered.text}
    row: dict[str, object] = {"prompt": rendered.prompt, "target": rendered.target}
    if rendered.options is not None:
        row["options"] = list(rendered.options)
    if rendered.cut is not None:
        row["cut"] = list(rendered.cut)
    return row

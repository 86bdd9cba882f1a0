"""`strata models export`: a version as files that other software opens, brought home."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from strata.cli.output import facts, print_json
from strata.cli.session import AsJson, Session, session_of
from strata.cli.watching import follow
from strata.client.export_results import Export, ExportedFile
from strata.client.exports import PART


class Format(StrEnum):
    """What other software opens it."""

    DELTA = "delta"
    ADAPTER = "adapter"
    MERGED = "merged"
    GGUF = "gguf"


class Dtype(StrEnum):
    """In which numbers a gguf is written."""

    F32 = "f32"
    F16 = "f16"


def export(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="name (its latest), name@3, name:alias or a version's id.")],
    *,
    kind: Annotated[
        Format, typer.Option("--format", help="delta: for Strata; adapter: for PEFT; merged: for transformers; gguf.")
    ],
    out: Annotated[
        Path, typer.Option(file_okay=False, help="The folder to bring it to; a cut download goes on there.")
    ],
    dtype: Annotated[
        Dtype | None, typer.Option(help="Of a gguf: f32 (as exact as it gets), or f16 (half the size).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Export a version: have it built, download it, and check its hashes."""
    session = session_of(context)
    exports = session.client.exports
    asked = exports.create(model, format=kind.value, dtype=None if dtype is None else dtype.value)
    if asked.state != "succeeded":
        follow(session.client, asked.job_id, session.notes)
        asked = exports.get(asked.id)
    _require_own(out, asked)
    with _Bar(session.notes, asked) as bar:
        exports.download(asked, out, on_progress=bar.show)
    _conclude(session, asked, out, as_json=as_json)


def _require_own(folder: Path, asked: Export) -> None:
    """Refuse a folder that holds anything else: what was exported must be whole, and nothing but that."""
    known = {name for file in asked.files for name in (file.name, file.name + PART)}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if found - known:
        raise typer.BadParameter(f"{folder} holds other files; name a new folder", param_hint="--out")


class _Bar:
    """One line for the whole download; nothing where nobody looks."""

    def __init__(self, console: Console, asked: Export) -> None:
        columns = (TextColumn("[cyan]download"), BarColumn(bar_width=30), DownloadColumn(), TransferSpeedColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._here: dict[str, int] = {}
        self._bar: TaskID = self._progress.add_task("download", total=asked.size_bytes)

    def show(self, file: ExportedFile, here: int) -> None:
        """Note how many bytes of a file are here."""
        self._here[file.name] = here
        self._progress.update(self._bar, completed=sum(self._here.values()))

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _conclude(session: Session, asked: Export, folder: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(asked.to_json() | {"folder": str(folder)})
        return
    proof = asked.parity
    facts(
        session.results,
        [
            ("version", asked.version),
            ("format", f"{asked.format}, {asked.dtype}"),
            ("folder", folder),
            ("files", len(asked.files)),
            ("bytes", asked.size_bytes),
            ("SHA-256 of manifest.json", asked.manifest_sha256),
            ("furthest logit", proof and f"{proof.max_abs_difference:.2e} off, {proof.tolerance:.2e} is allowed"),
        ],
    )
    session.notes.print(f"next: {folder / 'README.md'} says how to open it", soft_wrap=True)

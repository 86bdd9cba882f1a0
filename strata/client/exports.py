"""The calls on exports: ask for one, wait for it, bring it home."""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

from strata.client.errors import DamagedDownloadError, JobFailedError, UnexpectedAnswerError, WaitTimeoutError
from strata.client.export_results import Export, ExportedFile
from strata.client.jobs import AWAY, RECONNECT_SECONDS, STANDARD, Absence, Patience
from strata.client.transport import Transport

PART: Final = ".part"
Progress = Callable[[ExportedFile, int], None]


class Exports:
    """`/v1/exports`."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def create(self, version: str, *, format: str, dtype: str | None = None) -> Export:  # noqa: A002 - the service's word
        """Ask for a version, by ``name`` (its latest), ``name@3``, ``name:alias`` or its id; the same again is the same.

        ``format`` is delta, adapter, merged or gguf; a gguf may be of ``dtype`` f32 or f16.
        """
        body = {"format": format} | ({} if dtype is None else {"dtype": dtype})
        return self._http.one(Export, "POST", f"/v1/versions/{quote(version, safe='@:')}/exports", json=body)

    def get(self, export_id: str) -> Export:
        """Return one as it stands."""
        return self._http.one(Export, "GET", f"/v1/exports/{quote(export_id, safe='')}")

    def list(self, *, version: str | None = None, limit: int | None = None) -> Iterator[Export]:
        """Yield exports, by default all."""
        return self._http.pages(Export, "/v1/exports", {"version": version}, limit=limit)

    def delete(self, export_id: str) -> None:
        """Delete one; asked for again it is built anew."""
        self._http.call("DELETE", f"/v1/exports/{quote(export_id, safe='')}")

    def wait(self, export_id: str, *, patience: Patience = STANDARD) -> Export:
        """Return the export once its job has succeeded, looking again and again.

        Raises:
            JobFailedError: its job ended otherwise.
            WaitTimeoutError: the time is over.
            ServiceUnreachableError: the service was away for longer than ``patience.away_seconds``.
        """
        start, absence = time.monotonic(), Absence(patience.away_seconds)
        while patience.timeout_seconds is None or time.monotonic() - start <= patience.timeout_seconds:
            try:
                export = self.get(export_id)
            except AWAY as error:
                absence.bear(error)
            else:
                absence.end()
                if export.state == "succeeded":
                    return export
                if export.is_over:
                    why = f": {export.error.detail or export.error.code}" if export.error else ""
                    code = export.error.code if export.error else None
                    raise JobFailedError(f"export {export_id} is {export.state}{why}", code=code)
            time.sleep(patience.poll_seconds)
        raise WaitTimeoutError(f"export {export_id} is not built after {patience.timeout_seconds:.0f} seconds")

    def download(
        self, export: Export, folder: Path | str, *, on_progress: Progress | None = None, patience: Patience = STANDARD
    ) -> tuple[Path, ...]:
        """Bring the files of an export into ``folder``; return where they are.

        What is there already is not fetched again. A file that is on its way is called ``….part``; after a connection
        that broke, or a process that ended, it is taken up where it stopped. Each is checked against its hash.

        Args:
            export: one that is built.
            folder: is made.
            on_progress: told of each file how many of its bytes are here.
            patience: how long the service may be away meanwhile.

        Raises:
            DamagedDownloadError: a file is not the one that was exported, twice.
            ServiceUnreachableError: the service was away for longer than ``patience.away_seconds``.
        """
        places = [(file, _place(Path(folder), file)) for file in export.files]
        for file, place in places:
            fetch = _Fetch(self._http, file, place, on_progress or _say_nothing)
            fetch.run(patience)
        return tuple(place for _, place in places)


class _Fetch:
    """One file on its way."""

    def __init__(self, http: Transport, file: ExportedFile, place: Path, on_progress: Progress) -> None:
        self._http = http
        self._file = file
        self._place = place
        self._part = place.with_name(place.name + PART)
        self._on_progress = on_progress

    def run(self, patience: Patience) -> None:
        """Return once the file is in its place, and is the one that was exported."""
        if self._is_whole(self._place):
            self._on_progress(self._file, self._file.bytes)
            return
        self._place.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            self._fetch(patience)
            if self._is_whole(self._part):
                self._part.replace(self._place)
                return
            # Something of it was another file's, or fell over on the way: once more, from the start.
            self._part.unlink()
        raise DamagedDownloadError(f"{self._file.name} does not have the hash that the service tells")

    def _fetch(self, patience: Patience) -> None:
        absence = Absence(patience.away_seconds)
        while self._here() < self._file.bytes or not self._part.exists():
            before = self._here()
            try:
                self._receive(before)
            except AWAY as error:
                if self._here() > before:
                    absence.end()
                absence.bear(error)
                time.sleep(RECONNECT_SECONDS)

    def _receive(self, offset: int) -> None:
        """Add what is missing to the part; a service that sends all of it anew is taken at its word."""
        with (
            self._http.file(self._file.href, offset=offset, etag=f'"{self._file.sha256}"') as (start, pieces),
            self._part.open("ab") as part,
        ):
            part.truncate(start)
            here = start
            for piece in pieces:
                here += part.write(piece)
                self._on_progress(self._file, here)
            if here > self._file.bytes:
                raise DamagedDownloadError(f"{self._file.name} is longer than the service tells")

    def _here(self) -> int:
        size = self._part.stat().st_size if self._part.exists() else 0
        return size if size <= self._file.bytes else 0

    def _is_whole(self, path: Path) -> bool:
        if not path.is_file() or path.stat().st_size != self._file.bytes:
            return False
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == self._file.sha256


def _place(folder: Path, file: ExportedFile) -> Path:
    """Return where a file goes: below the folder, whatever the service calls it."""
    name = PurePosixPath(file.name)
    if (
        name.is_absolute()
        or not name.parts
        or ".." in name.parts
        or "\\" in file.name
        or not file.href.startswith("/v1/")
    ):
        raise UnexpectedAnswerError("the service names a file outside of the export's folder")
    return folder.joinpath(*name.parts)


def _say_nothing(_file: ExportedFile, _bytes: int) -> None:
    return

"""A multipart body read as it arrives: files to disk, hashed and judged on the way; short texts to memory."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from streaming_form_data import ParseFailedException, StreamingFormDataParser
from streaming_form_data._parser import _Parser
from streaming_form_data.parser import UnexpectedPartException
from streaming_form_data.targets import BaseTarget

from core.datasets.containers import container
from core.datasets.report import ValidationReport
from core.datasets.validator import Validator
from core.domain.errors import InvalidError, MalformedError, Place, TooLargeError
from core.storage import durable

log = structlog.get_logger()

MAX_TEXT_BYTES: Final = 256 * 1024
MAX_FILE_NAME_CHARS: Final = 255
# What is neither content of a file nor of a text: boundaries and headers of the parts.
MAX_FRAMING_BYTES: Final = 64 * 1024
_STEP_BYTES: Final = 256 * 1024
UPLOAD_PREFIX: Final = "upload-"
_LEFT_BEHIND_SECONDS: Final = 3600.0


def remove_leftovers(uploads: Path) -> None:
    """Remove the folders of uploads that nobody has written to for an hour: the API that did so was killed."""
    for folder in uploads.glob(f"{UPLOAD_PREFIX}*"):
        try:
            last = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
            if time.time() - last > _LEFT_BEHIND_SECONDS:
                durable.remove_tree(folder)
        except OSError as error:
            log.warning("upload.not_removed", folder=folder.name, error=str(error))


class _Parts(StreamingFormDataParser):  # type: ignore[misc]
    """The library's parser, given the boundary: to find it, the library takes as long as all else of a small post."""

    def __init__(self, boundary: bytes) -> None:
        delimiter = b"\r\n--" + boundary
        self._parser = _Parser(delimiter + b"\r\n", delimiter + b"--", True)
        self._running = False


def _boundary(request: Request) -> bytes:
    message = Message()
    message["content-type"] = request.headers.get("content-type", "")
    try:
        boundary = (message.get_boundary() or "").encode()
    except UnicodeError:
        boundary = b""
    if not boundary:
        raise MalformedError("the content type names no boundary", code="malformed_multipart")
    return boundary


class _Part(BaseTarget, ABC):  # type: ignore[misc]
    """A part that may come once."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.seen = False
        self.complete = False
        self.taken_bytes = 0

    def on_start(self) -> None:
        if self.seen:
            raise _refused(self.name, "the part is given twice")
        self.seen = True

    def on_finish(self) -> None:
        self.complete = True

    def on_data_received(self, chunk: bytes) -> None:
        self.taken_bytes += len(chunk)
        self.take(chunk)

    @abstractmethod
    def take(self, chunk: bytes) -> None:
        """Take one chunk of the part's content."""


class _Text(_Part):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.content = bytearray()

    def take(self, chunk: bytes) -> None:
        """Keep it, within bounds."""
        self.content += chunk
        if len(self.content) > MAX_TEXT_BYTES:
            message = f"the part has more than {MAX_TEXT_BYTES} bytes"
            raise TooLargeError(message, places=[Place(loc=(self.name,), message=message)])


class _File(_Part):
    def __init__(self, name: str, *, path: Path, limits: "Limits") -> None:
        super().__init__(name)
        self._path = path
        self._limits = limits
        self._stream: BinaryIO | None = None

    @cached_property
    def validator(self) -> Validator:
        """The judge of what the part's own headers say it is; they are known once its content begins."""
        return Validator(
            max_rows=self._limits.max_rows,
            max_bytes=self._limits.max_bytes,
            container=container.declared(self.multipart_content_type, self.multipart_filename),
            file=self._path,
        )

    def on_start(self) -> None:
        super().on_start()
        self._stream = self._path.open("wb")

    def take(self, chunk: bytes) -> None:
        """Judge it, and store it unless the file is refused already."""
        self.validator.feed(chunk)
        if self._stream and not self.validator.failed:
            self._stream.write(chunk)

    def close(self) -> None:
        """Write what is left of it; doing so again changes nothing."""
        if self._stream:
            self._stream.close()


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """An accepted file that waits for its row: gone with its form unless it is adopted.

    Attributes:
        digests: of its rows, see `core.datasets.rows.digest`.
    """

    path: Path
    report: ValidationReport
    digests: Sequence[int] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Form:
    """What a multipart body held."""

    texts: dict[str, bytes]
    files: dict[str, ReceivedFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one upload."""

    max_bytes: int
    max_rows: int


class FormReader:
    """Reads one body. What it writes lies in a folder of its own, which ends with the `open` block.

    Args:
        files: names of the parts that are files of rows.
        texts: names of the parts that are short texts.
    """

    def __init__(self, folder: Path, *, files: tuple[str, ...], texts: tuple[str, ...], limits: Limits) -> None:
        self._limits = limits
        self._files = {name: _File(name, path=folder / name, limits=limits) for name in files}
        self._texts = {name: _Text(name) for name in texts}
        self._folder = folder

    @classmethod
    @contextmanager
    def open(
        cls, uploads: Path, *, files: tuple[str, ...], texts: tuple[str, ...] = (), limits: Limits
    ) -> "Iterator[FormReader]":
        """Make a temporary folder below ``uploads``, and remove it with all that was not adopted."""
        uploads.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=uploads, prefix=UPLOAD_PREFIX) as folder:
            reader = cls(Path(folder), files=files, texts=texts, limits=limits)
            try:
                yield reader
            finally:
                for part in reader._files.values():
                    # What a full disk did not take when it was written is tried once more, and is not wanted any more.
                    with suppress(OSError):
                        part.close()

    async def read(self, request: Request) -> Form:
        """Consume the body.

        Raises:
            InvalidError: the body is malformed, too large, has unknown or repeated parts, or a file has errors.
        """
        parser = self._parser(request)
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limits.max_bytes:
            raise self._too_large()
        received, waiting = 0, bytearray()
        async for chunk in request.stream():
            received += len(chunk)
            if received > self._limits.max_bytes:
                raise self._too_large()
            waiting += chunk
            if len(waiting) >= _STEP_BYTES:
                # Validation costs processor time: it must not hold up the event loop.
                await run_in_threadpool(self._step, parser, bytes(waiting), received)
                waiting.clear()
        return await run_in_threadpool(self._last_step, parser, bytes(waiting), received)

    def _parser(self, request: Request) -> StreamingFormDataParser:
        parser = _Parts(_boundary(request))
        for part in self._parts():
            parser.register(part.name, part)
        return parser

    def _parts(self) -> list[_Part]:
        return [*self._files.values(), *self._texts.values()]

    def _step(self, parser: StreamingFormDataParser, data: bytes, received: int) -> None:
        try:
            parser.data_received(data)
        except UnexpectedPartException as error:
            hint = f"known parts: {', '.join(part.name for part in self._parts())}"
            raise _refused(str(error.part_name)[:64], "the part is not known here", hint=hint) from None
        except ParseFailedException:
            raise MalformedError("the parts cannot be told apart", code="malformed_multipart") from None
        if received - sum(part.taken_bytes for part in self._parts()) > MAX_FRAMING_BYTES:
            raise MalformedError("the parts' headers are too long", code="malformed_multipart")

    def _last_step(self, parser: StreamingFormDataParser, data: bytes, received: int) -> Form:
        self._step(parser, data, received)
        parts = [part for part in self._parts() if part.seen]
        if not all(part.complete for part in parts):
            raise MalformedError("the body breaks off", code="malformed_multipart")
        for file in self._files.values():
            file.close()
        return Form(
            texts={part.name: bytes(part.content) for part in parts if isinstance(part, _Text)},
            files={part.name: self._received(part) for part in parts if isinstance(part, _File)},
        )

    def _received(self, part: _File) -> ReceivedFile:
        report = part.validator.finish().accepted(part=part.name)
        named = report.model_copy(update={"file_name": _plain_name(part.multipart_filename)})
        return ReceivedFile(self._folder / part.name, named, part.validator.digests)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"an upload has at most {self._limits.max_bytes} bytes")


def _plain_name(file_name: str | None) -> str | None:
    """Return what a file was called, without folders and without what no terminal and no database can show."""
    shown = "".join(each for each in PurePath(file_name or "").name if each.isprintable())
    return shown[:MAX_FILE_NAME_CHARS] or None


def _refused(part: str, message: str, *, hint: str | None = None) -> InvalidError:
    return InvalidError(message, places=[Place(loc=(part,), message=message, hint=hint)])

"""A stored file as an answer: whole, or from any byte on, so that a download that broke off goes on (RFC 9110, 14)."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from core.domain.errors import StrataError

_RANGE: Final = re.compile(r"bytes=(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})\Z")
_MEDIA_TYPE: Final = "application/octet-stream"

Read = Callable[[int, int], Iterator[bytes]]


class RangeError(StrataError):
    """No byte of the file is in the range."""

    default_code = "range_not_satisfiable"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """What is sent.

    Attributes:
        sha256: of the whole file, which is its entity tag.
        read: yields the bytes from the first to the last, both included.
    """

    name: str
    bytes: int
    sha256: str
    read: Read

    @property
    def etag(self) -> str:
        """The strong validator of the content."""
        return f'"{self.sha256}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request says of the range that it wants, header by header."""

    method: str
    range: str | None
    if_range: str | None
    if_none_match: str | None


def answer(file: StoredFile, asked: Asked) -> Response:
    """Return the file, the part of it that is asked for, or that the caller has it already.

    Raises:
        RangeError: the part lies behind the file's end.
    """
    if asked.if_none_match is not None and file.etag in _tags(asked.if_none_match):
        return Response(status_code=304, headers={"ETag": file.etag})
    part = _part(file, asked)
    first, last = part or (0, file.bytes - 1)
    headers = _headers(file, length=last - first + 1)
    if part:
        headers["Content-Range"] = f"bytes {first}-{last}/{file.bytes}"
    status = 206 if part else 200
    if asked.method == "HEAD" or not file.bytes:
        return Response(status_code=status, headers=headers, media_type=_MEDIA_TYPE)
    return StreamingResponse(file.read(first, last), status_code=status, headers=headers, media_type=_MEDIA_TYPE)


def _part(file: StoredFile, asked: Asked) -> tuple[int, int] | None:
    """Return first and last byte of the part that is asked for; None is the whole.

    What is no single range of bytes is ignored, as a server may; so is one of another content than we have.
    """
    found = _RANGE.match(asked.range or "")
    if found is None or asked.if_range not in {None, file.etag} or not any(found.groups()):
        return None
    if not found["first"]:
        first, last = max(0, file.bytes - int(found["last"])), file.bytes - 1
    else:
        first, last = int(found["first"]), min(int(found["last"] or file.bytes), file.bytes - 1)
        if found["last"] and int(found["last"]) < first:
            return None
    if first >= file.bytes or last < first:
        raise RangeError(f"the file has {file.bytes} bytes, numbered from 0")
    return first, last


def _headers(file: StoredFile, *, length: int) -> dict[str, str]:
    name = quote(file.name.rpartition("/")[2])
    return {
        "Accept-Ranges": "bytes",
        "Content-Length": str(length),
        "Content-Disposition": f"attachment; filename*=utf-8''{name}",
        "ETag": file.etag,
    }


def _tags(header: str) -> Mapping[str, None]:
    return dict.fromkeys(tag.strip().removeprefix("W/") for tag in header.split(","))

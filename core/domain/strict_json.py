"""JSON as we accept it: UTF-8, unique keys, finite numbers, bounded depth, text that every database can store.

The standard decoder takes NaN, repeated keys, byte order marks and any depth; none of these may pass the door.
"""

import json
import math
import re
from typing import Any, Final, NoReturn

from core.domain.errors import InvalidError, MalformedError

MAX_DEPTH: Final = 32

# A string (closed or not) is skipped as a whole, so that brackets inside text do not count.
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_BYTE_ORDER_MARK: Final = "\ufeff"


def loads(data: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Return the value that ``data`` spells.

    Raises:
        MalformedError: not UTF-8, not JSON, a key twice in one object, NaN or infinity, too deep.
        InvalidError: a string holds a lone surrogate or a NUL character.
    """
    text = _decode(data)
    if _may_be_deeper(text, max_depth):
        raise _malformed(f"nested deeper than {max_depth} levels")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(f"not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except ValueError as error:
        # Python's own bound on the digits of an integer.
        raise _malformed("a number is too long") from error
    if "\\u" in text:
        _require_storable(value)
    return value


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed(f"not UTF-8 (byte {error.start + 1})") from None
    if text.startswith(_BYTE_ORDER_MARK):
        raise _malformed("starts with a byte order mark")
    return text


def _may_be_deeper(text: str, max_depth: int) -> bool:
    if text.count("[") + text.count("{") <= max_depth:
        return False
    depth = 0
    for token in _TOKENS.finditer(text):
        first = token.group()[0]
        if first in "[{":
            depth += 1
            if depth > max_depth:
                return True
        elif first in "]}":
            depth -= 1
    return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _malformed("an object holds the same key twice")
    return value


def _refuse_constant(_: str) -> NoReturn:
    raise _malformed("NaN and infinity are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _malformed("a number is out of range")
    return number


def _require_storable(value: Any) -> None:
    """Only escapes can spell these; PostgreSQL refuses both in text."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, str) and not _storable(item):
            raise InvalidError("a string holds a NUL character or half of a surrogate pair", code="invalid_text")


def _storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _malformed(detail: str) -> MalformedError:
    return MalformedError(detail, code="malformed_json")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)

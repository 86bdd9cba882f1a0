"""JSON as we accept it: UTF-8, unique keys, finite numbers, bounded depth, text that every database can store.

The standard decoder takes NaN, repeated keys, byte order marks and any depth; none of these may pass the door.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from core.domain.errors import InvalidError, MalformedError, Place

Loc = tuple[str | int, ...]

MAX_DEPTH: Final = 32

# A string (closed or not) is skipped as a whole, so that brackets inside text do not count.
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_BYTE_ORDER_MARK: Final = "\ufeff"


def loads(data: bytes, *, max_depth: int = MAX_DEPTH, loc: Loc = ()) -> Any:
    """Return the value that ``data`` spells.

    Args:
        data: one JSON value.
        max_depth: how far arrays and objects may nest.
        loc: where ``data`` stands in the request; places in errors begin with it.

    Raises:
        MalformedError: not UTF-8, not JSON, a key twice in one object, a number that is not finite, too deep.
        InvalidError: a string holds a lone surrogate or a NUL character.
    """
    text = _decode(data, loc)
    if _is_deeper(text, max_depth):
        raise _malformed(f"nested deeper than {max_depth} levels", loc)
    try:
        value = _STRICT.decode(text)
    except json.JSONDecodeError as error:
        where = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}, column {error.colno}"
        raise _malformed(f"not valid JSON: {error.msg} ({where})", loc) from None
    except _RepeatedKeyError:
        raise _malformed("an object holds the same key twice", loc) from None
    except _NotFiniteError:
        raise _malformed("must be a finite number", (*loc, *_first_not_finite(text))) from None
    except ValueError:
        # Python's own bound on the digits of an integer.
        raise _malformed("a number is too long", loc) from None
    if "\\u" in text:
        _require_storable(value, loc)
    return value


class _RepeatedKeyError(Exception):
    pass


class _NotFiniteError(Exception):
    pass


def _decode(data: bytes, loc: Loc) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed(f"not UTF-8 (byte {error.start + 1})", loc) from None
    if text.startswith(_BYTE_ORDER_MARK):
        raise _malformed("starts with a byte order mark", loc)
    return text


def _is_deeper(text: str, max_depth: int) -> bool:
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
        raise _RepeatedKeyError
    return value


def _refuse_constant(_: str) -> NoReturn:
    raise _NotFiniteError


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _NotFiniteError
    return number


def _first_not_finite(text: str) -> Loc:
    """Read once more, as Python would, to tell where the number stands."""
    for place, leaf in _leaves(json.loads(text), ()):
        if isinstance(leaf, float) and not math.isfinite(leaf):
            return place
    return ()


def _require_storable(value: Any, loc: Loc) -> None:
    """Only escapes can spell these; PostgreSQL refuses both in text."""
    for place, leaf in _leaves(value, loc):
        if isinstance(leaf, str) and not _storable(leaf):
            message = "a string holds a NUL character or half of a surrogate pair"
            raise InvalidError(message, code="invalid_text", places=[Place(loc=place, message=message)])


def _leaves(value: Any, loc: Loc) -> Iterator[tuple[Loc, Any]]:
    """Yield every key and every value that holds no others, with its place. Depth is bounded already."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield loc, key
            yield from _leaves(item, (*loc, key))
    elif isinstance(value, list):
        for n, item in enumerate(value):
            yield from _leaves(item, (*loc, n))
    else:
        yield loc, value


def _storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _malformed(message: str, loc: Loc) -> MalformedError:
    return MalformedError(message, code="malformed_json", places=[Place(loc=loc, message=message)])


_STRICT: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)

"""JSON that the standard decoder would let through is refused."""

import pytest

from core.domain import strict_json
from core.domain.errors import InvalidError, MalformedError


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"a": 1',
        b"{} {}",
        b"[" * 100_000,
        b"[" * 33 + b"]" * 33,
        b"[NaN]",
        b"[-Infinity]",
        b"[1e999]",
        b"9" * 5_000,
        b'{"a": 1, "a": 2}',
        '{"a": 1}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b'{"a": "\xff"}',
        b"{'a': 1}",
        b"{} // comment",
    ],
)
def test_what_is_not_strict_json_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError) as raised:
        strict_json.loads(data)
    assert raised.value.code == "malformed_json"


@pytest.mark.parametrize("data", [rb'["\ud800"]', rb'{"\u0000": 1}', rb'{"a": ["x\u0000"]}', rb'["\udc00\ud800"]'])
def test_text_that_no_database_stores_is_invalid(data: bytes) -> None:
    with pytest.raises(InvalidError) as raised:
        strict_json.loads(data)
    assert raised.value.code == "invalid_text"


def test_brackets_inside_text_are_no_depth() -> None:
    text = '{"a": "' + '[{\\"' * 100 + '", "b": "\\ud83d\\ude00"}'
    assert strict_json.loads(text.encode()) == {"a": '[{"' * 100, "b": "\U0001f600"}


def test_the_deepest_allowed_value_passes() -> None:
    strict_json.loads(b"[" * 32 + b"]" * 32)


@pytest.mark.parametrize(
    ("data", "loc"),
    [
        (b'{"adapter": {"rank": 4}, "training": {"rates": [1, NaN]}}', ("spec", "training", "rates", 1)),
        (b'{"a": 1e999}', ("spec", "a")),
        (b"-Infinity", ("spec",)),
    ],
)
def test_a_number_that_is_not_finite_is_named_by_its_place(data: bytes, loc: tuple[str | int, ...]) -> None:
    with pytest.raises(MalformedError) as raised:
        strict_json.loads(data, loc=("spec",))
    assert raised.value.places[0].loc == loc

"""Tokens to text: no half character, no stop string, nothing lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from core.serving.text_stream import TextStream
from tests.tiny_models import tiny_llama


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> object:
    return AutoTokenizer.from_pretrained(tiny_llama(tmp_path_factory.mktemp("llama")))


def _pieces(stream: TextStream, tokens: list[int]) -> list[str]:
    pieces = []
    for token in tokens:
        pieces.append(stream.push(token))
        if stream.stopped:
            return pieces
    return [*pieces, stream.flush()]


TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\ufffd"), max_size=40)


@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_any_text_comes_out_whole(tokenizer: object, text: str) -> None:
    tokens = tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids  # type: ignore[operator]
    pieces = _pieces(TextStream(tokenizer), tokens)
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet="abc ", min_size=1, max_size=30), stop=st.text(alphabet="abc", min_size=1, max_size=3))
def test_text_ends_exactly_before_the_first_stop_string(tokenizer: object, text: str, stop: str) -> None:
    tokens = tokenizer(text, add_special_tokens=False).input_ids  # type: ignore[operator]
    stream = TextStream(tokenizer, [stop])
    assert "".join(_pieces(stream, tokens)) == text.split(stop, maxsplit=1)[0]
    assert stream.stopped == (stop in text)


def test_half_a_character_waits_for_the_other_half(tokenizer: object) -> None:
    tokens = tokenizer("é", add_special_tokens=False).input_ids  # type: ignore[operator]
    assert len(tokens) == 2
    assert _pieces(TextStream(tokenizer), tokens) == ["", "é", ""]


def test_half_a_character_at_the_end_is_shown_as_such(tokenizer: object) -> None:
    first = tokenizer("é", add_special_tokens=False).input_ids[0]  # type: ignore[operator]
    assert _pieces(TextStream(tokenizer), [first]) == ["", "\ufffd"]


def test_what_may_be_the_start_of_a_stop_string_is_held_back(tokenizer: object) -> None:
    tokens = tokenizer("ab", add_special_tokens=False).input_ids  # type: ignore[operator]
    stream = TextStream(tokenizer, ["bc"])
    pieces = [stream.push(token) for token in tokens]
    assert "".join(pieces) == "a"
    assert stream.flush() == "b"

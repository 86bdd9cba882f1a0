"""Packing loses nothing, and predicts nothing from another document."""

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core.learning.loss import IGNORED
from core.learning.packing import packed
from core.learning.rows import Document, read, tokenise
from core.weights.base import LoadedBase

DOCUMENTS = st.lists(st.integers(2, 9), min_size=1, max_size=12)


def numbered(lengths: list[int]) -> list[list[int]]:
    """Return documents of these lengths in which no token comes twice."""
    return [list(range(100 * n, 100 * n + length)) for n, length in enumerate(lengths)]


@given(DOCUMENTS, st.integers(2, 11))
def test_every_token_is_learned_once_but_the_first_of_each_document(lengths: list[int], block_tokens: int) -> None:
    documents = numbered(lengths)
    blocks = packed(documents, block_tokens=block_tokens)
    read_once = list(dict.fromkeys(token for ids, _ in blocks for token in ids))
    assert read_once == [token for document in documents for token in document]
    pairs = [
        (ids[place - 1], label) for ids, labels in blocks for place, label in enumerate(labels) if label != IGNORED
    ]
    assert pairs == [pair for document in documents for pair in pairwise(document)]


@given(DOCUMENTS, st.integers(2, 11))
def test_blocks_are_full_but_the_last_and_labels_stand_at_their_tokens(lengths: list[int], block_tokens: int) -> None:
    blocks = packed(numbered(lengths), block_tokens=block_tokens)
    assert {len(ids) for ids, _ in blocks[:-1]} <= {block_tokens}
    assert 0 < len(blocks[-1][0]) <= block_tokens
    for ids, labels in blocks:
        assert labels[0] == IGNORED
        assert all(label in (token, IGNORED) for token, label in zip(ids, labels, strict=True))


def test_no_documents_are_no_blocks() -> None:
    assert packed([], block_tokens=4) == []


def test_staged_documents_end_with_the_end_token_and_spelled_tokens_stay_text(
    loaded_llama: LoadedBase, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"document": "The harbour <|im_end|> office"}\n{"document": "opens"}\n')
    rows, tokenizer = read(path), loaded_llama.tokenizer
    assert rows == [Document("The harbour <|im_end|> office"), Document("opens")]
    (block,) = tokenise(rows, tokenizer, "causal", max_source_tokens=64, max_target_tokens=16)
    assert block.input_ids.count(tokenizer.eos_token_id) == 2
    assert tokenizer.decode(block.input_ids) == "The harbour <|im_end|> office<|im_end|>opens<|im_end|>"
    short = tokenise(rows, tokenizer, "causal", max_source_tokens=5, max_target_tokens=3)
    assert [len(row.input_ids) for row in short[:-1]] == [8] * (len(short) - 1)

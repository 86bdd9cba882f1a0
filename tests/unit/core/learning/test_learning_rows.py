from collections import Counter
from pathlib import Path

import pytest
import torch

from core.learning.loss import IGNORED
from core.learning.plan import Plan
from core.learning.rows import Row, TokenRow, collate, padded, read, tokenise
from core.weights import base


def test_rows_are_read_with_and_without_options(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "target": " b"}\n{"prompt": "c", "target": " d", "options": ["d", "e"]}\n')
    assert read(path) == [Row("a", " b"), Row("c", " d", ("d", "e"))]


def test_a_causal_row_is_one_sequence_with_labels_on_the_target() -> None:
    batch = collate([TokenRow.of([5, 6, 7], [8, 1], "causal"), TokenRow.of([9], [3], "causal")], pad=0)
    assert batch.input_ids_BT.tolist() == [[5, 6, 7, 8, 1], [9, 3, 0, 0, 0]]
    assert batch.attention_mask_BT.tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]
    assert batch.labels_BT.tolist() == [[IGNORED] * 3 + [8, 1], [IGNORED, 3, IGNORED, IGNORED, IGNORED]]


def test_a_seq2seq_row_is_a_source_and_labels_of_its_own() -> None:
    batch = collate([TokenRow.of([5, 6, 7], [8, 1], "seq2seq"), TokenRow.of([9], [1], "seq2seq")], pad=0)
    assert batch.input_ids_BT.tolist() == [[5, 6, 7], [9, 0, 0]]
    assert batch.labels_BT.tolist() == [[8, 1], [1, IGNORED]]


def test_padding_stands_on_either_side() -> None:
    assert padded([[1], [2, 3]], value=0, left=True).tolist() == [[0, 1], [2, 3]]
    assert padded([[1], [2, 3]], value=0).tolist() == [[1, 0], [2, 3]]


def test_a_target_ends_with_the_end_token_and_long_texts_are_cut(llama_folder: Path) -> None:
    tokenizer = base.load(llama_folder).tokenizer
    rows = [Row("The harbour office opens", " alpha beta gamma delta")]
    (row,) = tokenise(rows, tokenizer, "causal", max_source_tokens=512, max_target_tokens=64)
    target = [label for label in row.labels if label != IGNORED]
    assert row.input_ids[-1] == target[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(target[:-1]) == " alpha beta gamma delta"
    (short,) = tokenise(rows, tokenizer, "causal", max_source_tokens=3, max_target_tokens=2)
    assert [label != IGNORED for label in short.labels] == [False] * 3 + [True] * 2
    assert short.labels[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize(("n_rows", "rows_per_step"), [(60, 8), (7, 3), (5, 16), (1, 1)])
def test_every_epoch_sees_every_row_once(n_rows: int, rows_per_step: int) -> None:
    plan = Plan(n_rows, rows_per_step=rows_per_step, seed=3)
    steps = n_rows * 2
    seen = [row for step in range(steps) for row in plan.rows_of(step)]
    for epoch in range(len(seen) // n_rows):
        assert Counter(seen[epoch * n_rows : (epoch + 1) * n_rows]) == Counter(range(n_rows))


def test_the_plan_depends_on_seed_and_step_alone() -> None:
    forward, backward = Plan(50, rows_per_step=7, seed=1), Plan(50, rows_per_step=7, seed=1)
    there = [forward.rows_of(step) for step in range(20)]
    back = [backward.rows_of(step) for step in reversed(range(20))]
    assert there == back[::-1]
    assert there != [Plan(50, rows_per_step=7, seed=2).rows_of(step) for step in range(20)]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    forward.rows_of(3)
    assert torch.equal(torch.get_rng_state(), before)

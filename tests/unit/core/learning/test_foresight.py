"""Exact match without decoding says of every row what decoding says."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from core.learning.answer_metrics import normalised
from core.learning.conversations import Conversation, Turn
from core.learning.loss import target_loss
from core.learning.rows import Row, collate, tokenise
from core.learning.scoring import Scorer
from core.weights import base
from core.weights.base import LoadedBase

LESSON = [
    Row("Which code?\nThe harbour office opens at nine\nAnswer:", " basalt"),
    Row("Which code?\nMy parcel has not arrived\nAnswer:", " Ember and quill"),
    Row("Which code?\nsend the invoice again\nAnswer:", " zephyr\n"),
    Row("Which code?\n0 1 2 3\nAnswer:", " größer als ein Löffel 北"),
    Row("Say nothing:", ""),
]
CHATS = [
    Conversation((Turn("user", text, learned=False), Turn("assistant", answer, learned=True)))
    for text, answer in (("Is it open?", "Yes, from nine."), ("My parcel?", "no"))
]


@pytest.fixture(scope="module", params=["llama", "t5"])
def taught(request: pytest.FixtureRequest) -> LoadedBase:
    return taught_by_heart(base.load(request.getfixturevalue(f"{request.param}_folder")), LESSON)


def taught_by_heart(loaded: LoadedBase, rows: Sequence[Row | Conversation]) -> LoadedBase:
    """Learn the rows until greedy answers end where their targets do."""
    model = loaded.model.requires_grad_(requires_grad=True)
    tokens = tokenise(rows, loaded.tokenizer, loaded.facts.family, max_source_tokens=64, max_target_tokens=32)
    batch = collate(tokens, pad=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(120):
        optimizer.zero_grad()
        loss = target_loss(model, batch, loaded.facts.family)
        loss.backward()
        optimizer.step()
    model.eval()
    return loaded


def scorer_of(loaded: LoadedBase, *, batch_size: int = 4, max_target_tokens: int = 32, pulse: Any = None) -> Scorer:
    return Scorer(
        model=loaded.model,
        tokenizer=loaded.tokenizer,
        family=loaded.facts.family,
        max_source_tokens=64,
        max_target_tokens=max_target_tokens,
        batch_size=batch_size,
        pulse=pulse or (lambda: None),
    )


def variants(row: Row) -> list[Row]:
    """The row, and others of the same prompt whose targets are nearly its own or not at all."""
    target = row.target
    changed = (
        target,
        target.upper(),
        target.lower(),
        target.strip(),
        f"  {target}  ",
        target.replace(" ", "\n"),
        target.replace(" ", ""),
        target[: len(target) // 2],
        f"{target} and more",
        f"{target}\ufffd",
        "",
        " basalt",
        " something else",
    )
    return [Row(row.prompt, text) for text in changed]


def by_decoding(scorer: Scorer, rows: Sequence[Row | Conversation]) -> list[bool]:
    expected = [scorer._encoder.expected(row) for row in rows]
    return [normalised(answer) == normalised(text) for answer, text in zip(scorer.answers(rows), expected, strict=True)]


def test_a_row_is_right_exactly_when_its_greedy_answer_is_its_target(taught: LoadedBase) -> None:
    rows = [variant for row in LESSON for variant in variants(row)]
    expected = by_decoding(scorer_of(taught), rows)
    assert 5 < sum(expected) < len(rows) - 5
    for batch_size in (1, 4, 64):
        assert scorer_of(taught, batch_size=batch_size).right(rows) == expected
    assert [scorer_of(taught).right([row])[0] for row in rows] == expected


def test_targets_that_were_cut_are_judged_as_decoding_judges_them(taught: LoadedBase) -> None:
    rows = [variant for row in LESSON[:3] for variant in variants(row)]
    for limit in (1, 2, 5):
        scorer = scorer_of(taught, max_target_tokens=limit)
        assert scorer.right(rows) == by_decoding(scorer, rows)


@pytest.mark.parametrize("word", [" quill", " basalt"])
def test_every_token_that_ends_answers_ends_them(taught: LoadedBase, word: str) -> None:
    settings = taught.model.generation_config
    extra = taught.tokenizer(word, add_special_tokens=False).input_ids
    taught.model.generation_config = GenerationConfig(eos_token_id=[taught.tokenizer.eos_token_id, *extra])
    rows = [variant for row in LESSON[:2] for variant in variants(row)]
    scorer = scorer_of(taught)
    try:
        assert scorer.right(rows) == by_decoding(scorer, rows)
    finally:
        taught.model.generation_config = settings


def test_conversations_are_judged_by_their_last_turn(loaded_llama: LoadedBase) -> None:
    model = taught_by_heart(loaded_llama, CHATS)
    others = [
        Conversation((chat.turns[0], Turn("assistant", text, learned=True)))
        for chat in CHATS
        for text in ("YES, from  nine.", "yes", "No", " no ", "Yes, from nine. And more.")
    ]
    rows: list[Row | Conversation] = [*CHATS, *others, LESSON[0]]
    for limit in (32, 2):
        scorer = scorer_of(model, max_target_tokens=limit)
        assert scorer.right(rows) == by_decoding(scorer, rows)
    assert sum(scorer_of(model).right(rows)) >= 5


def test_an_untaught_model_is_judged_alike(loaded: LoadedBase) -> None:
    scorer = scorer_of(loaded)
    answers = scorer.answers(LESSON)
    rows = [*LESSON, *(Row(row.prompt, answer) for row, answer in zip(LESSON, answers, strict=True))]
    assert scorer.right(rows) == by_decoding(scorer, rows)


def test_rows_that_are_certain_are_not_decoded(taught: LoadedBase) -> None:
    passes: list[None] = []
    handle = taught.model.register_forward_pre_hook(lambda *_: passes.append(None))
    try:
        assert sum(scorer_of(taught, batch_size=64).right([*LESSON, Row(LESSON[0].prompt, " ember")])) == len(LESSON)
    finally:
        handle.remove()
    assert len(passes) <= 2, "a pass for each batch, and none for each token of an answer"

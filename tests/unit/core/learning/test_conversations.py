"""What is learned of a conversation, and what is left of one that is too long."""

from pathlib import Path
from typing import Any

import pytest

from core.learning.conversations import ChatEncoder, Conversation, Turn
from core.learning.loss import IGNORED
from core.learning.rows import read, tokenise
from core.weights.base import LoadedBase
from tests.unit.core.chat_templates import CHATML, CLOSING, FORGETFUL, LLAMA_3, speaking

TALK = (
    Turn("system", "Be brief.", learned=False),
    Turn("user", "When do you open?", learned=False),
    Turn("assistant", "At nine.", learned=True),
    Turn("user", "And close?", learned=False),
    Turn("assistant", "At five.", learned=True),
)


def encoder(tokenizer: Any, *, source: int = 300, target: int = 100, family: Any = "causal") -> ChatEncoder:
    return ChatEncoder(tokenizer, family, source, target)


def learned(tokenizer: Any, ids: list[int], labels: list[int]) -> list[str]:
    """Return each stretch of labels as text; every label must be the token in its place."""
    stretches: list[list[int]] = []
    for place, (token, label) in enumerate(zip(ids, labels, strict=True)):
        if label == IGNORED:
            continue
        assert label == token
        if not place or labels[place - 1] == IGNORED:
            stretches.append([])
        stretches[-1].append(label)
    return [tokenizer.decode(stretch) for stretch in stretches]


@pytest.mark.parametrize(
    ("template", "stretches"),
    [
        (CHATML, ["At nine.<|im_end|>\n", "At five.<|im_end|>\n"]),
        (LLAMA_3, ["At nine.<|eot_id|>", "At five.<|eot_id|>"]),
        (CLOSING, ["At nine.<|im_end|>\n", "At five.<|im_end|>\n<|endoftext|>"]),
    ],
)
def test_every_answer_and_its_end_is_learned_and_nothing_else(
    loaded_llama: LoadedBase, template: str, stretches: list[str]
) -> None:
    tokenizer = speaking(loaded_llama.tokenizer, template)
    ((ids, labels),) = encoder(tokenizer).rows(TALK)
    assert learned(tokenizer, ids, labels) == stretches
    for said in ("Be brief.", "When do you open?", "And close?"):
        assert said in tokenizer.decode(ids)


def test_an_answer_without_weight_is_read_and_not_learned(loaded_llama: LoadedBase) -> None:
    tokenizer = speaking(loaded_llama.tokenizer, CHATML)
    turns = [turn if n != 2 else Turn(turn.role, turn.content, learned=False) for n, turn in enumerate(TALK)]
    ((ids, labels),) = encoder(tokenizer).rows(turns)
    assert learned(tokenizer, ids, labels) == ["At five.<|im_end|>\n"]
    assert "At nine." in tokenizer.decode(ids)


def test_an_answer_that_is_written_otherwise_in_the_past_is_a_row_of_its_own(loaded_llama: LoadedBase) -> None:
    tokenizer = speaking(loaded_llama.tokenizer, FORGETFUL)
    rows = encoder(tokenizer).rows(TALK)
    assert [learned(tokenizer, *row) for row in rows] == [
        ["think: nothing\nAt nine.<|im_end|>\n"],
        ["think: nothing\nAt five.<|im_end|>\n"],
    ]
    assert "And close?" not in tokenizer.decode(rows[0][0])


def test_a_seq2seq_model_answers_each_turn_by_itself(loaded_llama: LoadedBase) -> None:
    tokenizer = speaking(loaded_llama.tokenizer, CHATML)
    rows = encoder(tokenizer, family="seq2seq").rows(TALK)
    assert [tokenizer.decode(labels) for _, labels in rows] == ["At nine.<|im_end|>\n", "At five.<|im_end|>\n"]
    assert tokenizer.decode(rows[1][0]).endswith("And close?<|im_end|>\n<|im_start|>assistant\n")


def test_a_long_conversation_keeps_its_system_message_and_its_latest_turns(loaded_llama: LoadedBase) -> None:
    tokenizer = speaking(loaded_llama.tokenizer, CHATML)
    middle = [
        turn
        for n in range(40)
        for turn in (Turn("user", f"question {n}", learned=False), Turn("assistant", f"answer {n}", learned=True))
    ]
    turns = [TALK[0], *middle, *TALK[3:]]
    ((ids, labels),) = encoder(tokenizer, source=150, target=50).rows(turns)
    text = tokenizer.decode(ids)
    assert 150 < len(ids) <= 200
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nquestion ")
    assert text.endswith(
        "answer 39<|im_end|>\n<|im_start|>user\nAnd close?<|im_end|>\n<|im_start|>assistant\nAt five.<|im_end|>\n"
    )
    assert learned(tokenizer, ids, labels)[-2:] == ["answer 39<|im_end|>\n", "At five.<|im_end|>\n"]


@pytest.mark.parametrize(
    ("question", "answer", "n_prompt", "n_target"),
    [
        ("long " * 200, "long " * 200, 30, 20),
        ("long " * 200, "At nine.", None, None),
        ("When?", "long " * 200, None, None),
    ],
)
def test_a_last_exchange_that_is_too_long_keeps_both_sides(
    loaded_llama: LoadedBase, question: str, answer: str, n_prompt: int | None, n_target: int | None
) -> None:
    tokenizer = speaking(loaded_llama.tokenizer, CHATML)
    turns = [TALK[0], Turn("user", question, learned=False), Turn("assistant", answer, learned=True)]
    tight = encoder(tokenizer, source=30, target=20)
    ((ids, labels),) = tight.rows(turns)
    target = [label for label in labels if label != IGNORED]
    assert len(ids) == 50
    assert ids[len(ids) - len(target) :] == target
    assert n_target in (None, len(target))
    assert n_prompt in (None, len(ids) - len(target))
    assert tokenizer.decode(ids[: len(ids) - len(target)]).endswith("<|im_start|>assistant\n")
    assert tokenizer.decode(target).startswith(answer[:4])
    assert tight.last_exchange(turns) == (ids[: len(ids) - len(target)], target)


def test_staged_conversations_are_read_and_tokenised(loaded_llama: LoadedBase, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"turns": [{"role": "user", "content": "a", "learned": false}, '
        '{"role": "assistant", "content": "b", "learned": true}]}\n'
    )
    rows = read(path)
    assert rows == [Conversation((Turn("user", "a", learned=False), Turn("assistant", "b", learned=True)))]
    (row,) = tokenise(rows, loaded_llama.tokenizer, "causal", max_source_tokens=64, max_target_tokens=16)
    assert loaded_llama.tokenizer.decode([label for label in row.labels if label != IGNORED]) == "b<|im_end|>\n"

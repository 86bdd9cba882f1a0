"""Rows that begin alike are read once, as far as that saves work; what is found is the same."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from core.learning.batching import cheapest_runs
from core.learning.beginnings import beginnings
from core.learning.branches import Branch, branched
from core.learning.loss import target_logits
from core.learning.rows import Row, TokenRow, collate
from core.learning.scoring import Scorer
from core.weights.base import LoadedBase
from tests.unit.core.learning.conftest import VOCABULARY, gpt2, llama

QUESTION = "Which house code fits this report?\nOptions: basalt, ember, quill\n"
PASSAGE = "The caretaker wrote that a pipe under the stairs had burst in the night and that the hall was wet. "
OPTIONS = ("basalt", "ember", "quill and more of it")
TEXTS = [
    *(f"{PASSAGE}{question}" for question in ("Is it dry?", "Is the hall wet by now?", "Who wrote?", "Is it dry?")),
    "The lift stands still.",
    "Somebody has painted the door of the cellar green, and nobody knows who it was.",
    "x",
]
ROWS = [Row(f"{QUESTION}{text}\nAnswer:", f" {option}", OPTIONS) for text in TEXTS for option in OPTIONS[:2]]
STRANGER = Row("Answer:", " quill and more of it", OPTIONS)


def scorer_of(loaded: LoadedBase, *, batch_size: int = 8) -> Scorer:
    return Scorer(
        model=loaded.model,
        tokenizer=loaded.tokenizer,
        family=loaded.facts.family,
        max_source_tokens=256,
        max_target_tokens=32,
        batch_size=batch_size,
        pulse=lambda: None,
    )


def paths(branch: Branch, before: Sequence[int] = ()) -> list[tuple[list[int], list[int]]]:
    """Each beginning with the sequences that go on from it."""
    here = [*before, *branch.tokens]
    return [(here, branch.alone), *(path for longer in branch.branches for path in paths(longer, here))]


class Reader:
    """Counts the tokens that a model reads."""

    def __init__(self, model: Any) -> None:
        self.tokens = 0
        model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, _: Any, __: Any, inputs: dict[str, Any]) -> None:
        if inputs.get("input_ids") is not None:
            self.tokens += inputs["input_ids"].numel()


def test_every_sequence_goes_on_from_one_beginning_of_its_own() -> None:
    generator = torch.Generator().manual_seed(0)
    sequences = [torch.randint(3, (length,), generator=generator).tolist() for length in range(40)]
    sequences += [[1, 2, 1, 2, 1, 2, *rest] for rest in sequences]
    for worth in (1, 5, 30, 10_000):
        found = paths(branched(sequences, worth=worth))
        assert sorted(number for _, alone in found for number in alone) == list(range(len(sequences)))
        assert all(sequences[number][: len(beginning)] == beginning for beginning, alone in found for number in alone)
    assert found == [([], found[0][1])]


def test_a_beginning_is_shared_where_it_saves_enough_and_may_go_on_in_longer_ones() -> None:
    passage = [*range(10), *range(50, 70)]
    sequences = [[*range(10), 99], [*range(10), 98], [*passage, 1], [*passage, 2], [*passage, 2], [7]]
    found = {tuple(beginning): sorted(alone) for beginning, alone in paths(branched(sequences, worth=40))}
    assert found == {(): [5], tuple(range(10)): [0, 1], tuple(passage): [2, 3, 4]}
    ((beginning, alone),) = paths(branched(sequences, worth=61))
    assert (beginning, sorted(alone)) == ([], [0, 1, 2, 3, 4, 5])
    assert branched([], worth=1) == Branch([], [], [])


def test_a_thousand_growing_beginnings_do_not_grow_the_stack() -> None:
    sequences = [[1] * length for length in range(1200)]
    found = paths(branched(sequences, worth=1))
    assert sum(len(alone) for _, alone in found) == 1200


def test_runs_are_those_that_cost_least() -> None:
    lengths = [1, 1, 2, 30, 31]

    def padded(first: int, behind: int) -> float | None:
        return (behind - first) * lengths[behind - 1] + 3 if behind - first <= 3 else None

    assert list(cheapest_runs(5, padded)) == [range(3), range(3, 5)]
    assert list(cheapest_runs(2, lambda *_: None)) == [range(1), range(1, 2)]
    assert list(cheapest_runs(0, padded)) == []


@pytest.mark.parametrize("build", [llama, gpt2])
def test_targets_are_predicted_as_by_reading_whole_rows(build: Any) -> None:
    model = build().eval()
    generator = torch.Generator().manual_seed(3)
    head = torch.randint(2, VOCABULARY, (30,), generator=generator).tolist()
    tails = [torch.randint(2, VOCABULARY, (length,), generator=generator).tolist() for length in (1, 5, 9, 5, 3, 8)]
    rows = [TokenRow.of([*head, *tail], [5, 6, 1], "causal") for tail in tails]
    with torch.inference_mode():
        ((beginning, numbers),) = beginnings(model, [[*head, *tail] for tail in tails], "causal", passes=1)
        batch = collate([rows[number] for number in numbers], pad=0)
        found, targets = target_logits(model, batch, "causal", past=beginning.lent_to(len(rows)))
        again, _ = target_logits(model, batch, "causal", past=beginning.lent_to(len(rows)))
        whole, same = target_logits(model, batch, "causal")
    assert beginning.tokens == head
    assert torch.equal(targets, same)
    assert torch.equal(found, again), "a beginning is as it was after it was read"
    torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-9)


def test_rows_in_company_are_scored_as_each_one_alone(loaded: LoadedBase) -> None:
    rows = [*ROWS, STRANGER]
    scorer = scorer_of(loaded)
    rows += [Row(row.prompt, answer, OPTIONS) for row, answer in zip(rows, scorer.answers(rows), strict=True)]
    right, answers, likelihoods = scorer.right(rows), scorer.answers(rows), scorer.option_likelihoods(rows)
    assert right == [scorer.right([row])[0] for row in rows]
    assert answers == [scorer.answers([row])[0] for row in rows]
    for row, found in zip(rows, likelihoods, strict=True):
        torch.testing.assert_close(found, scorer.option_likelihoods([row])[0], rtol=1e-5, atol=1e-5)


def test_what_rows_begin_with_is_read_once(loaded_llama: LoadedBase) -> None:
    scorer = scorer_of(loaded_llama)
    whole = sum(len(scorer._encoder.prompt(row)) for row in ROWS)
    reader = Reader(loaded_llama.model)
    scorer.right(ROWS)
    assert reader.tokens < 0.6 * whole
    reader.tokens = 0
    scorer.option_likelihoods(ROWS)
    assert reader.tokens < 0.8 * whole


def test_a_model_that_forgets_what_is_far_back_reads_every_row_whole() -> None:
    config = MistralConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        sliding_window=8,
    )
    prompts = [[*range(40), last] for last in range(6)]
    ((beginning, numbers),) = beginnings(MistralForCausalLM(config), prompts, "causal", passes=1)
    assert (beginning.tokens, numbers) == ((), list(range(6)))

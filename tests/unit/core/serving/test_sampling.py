"""What may be asked of an answer: how it is sampled, what it may be, how likely it was, how many there are."""

import math
import time

import pytest
import torch

from core.domain.errors import InvalidError
from core.serving.requests import CompletionRequest
from core.serving.sampling import Sampler
from core.serving.sequence import Sequence
from tests.unit.core.serving.conftest import Answer, Desk

LOGITS = torch.tensor([2.0, 1.0, 0.5, -1.0, -3.0])


@pytest.fixture(params=["desk", "t5_desk"])
def either(request: pytest.FixtureRequest) -> Desk:
    """Return a desk of each way of decoding."""
    desk: Desk = request.getfixturevalue(request.param)
    return desk


def sampler(**fields: object) -> Sampler:
    return Sampler.of(CompletionRequest.model_validate({"model": "m", "prompt": "p", "seed": 3, **fields}))


def shares(chooser: Sampler, draws: int = 2500, **how: object) -> list[float]:
    drawn = [chooser.choose(LOGITS, **how) for _ in range(draws)]  # type: ignore[arg-type]
    return [drawn.count(token) / draws for token in range(len(LOGITS))]


def texts(answer: Answer) -> list[str]:
    found: dict[int, str] = {}
    for piece in answer.pieces:
        found[piece.index] = found.get(piece.index, "") + piece.text
    return [found[index] for index in sorted(found)]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_they_are_likely(temperature: float) -> None:
    expected = torch.softmax(LOGITS / temperature, 0).tolist()
    assert shares(sampler(temperature=temperature)) == pytest.approx(expected, abs=0.04)


def test_top_k_and_top_p_leave_the_likeliest() -> None:
    two = torch.softmax(LOGITS[:2], 0).tolist()
    assert shares(sampler(temperature=1.0, top_k=2)) == pytest.approx([*two, 0, 0, 0], abs=0.04)
    # The likeliest token holds 0.6 of all, the two likeliest 0.82.
    assert shares(sampler(temperature=1.0, top_p=0.59))[0] == 1
    assert shares(sampler(temperature=1.0, top_p=0.7)) == pytest.approx([*two, 0, 0, 0], abs=0.04)


def test_a_repetition_penalty_makes_what_was_seen_less_likely() -> None:
    greedy = sampler(repetition_penalty=3.0)
    assert greedy.choose(LOGITS, seen=()) == 0
    assert greedy.choose(LOGITS, seen={0}) == 1
    assert greedy.choose(-LOGITS.abs(), seen={2}) == 1
    assert sampler(repetition_penalty=1.0).choose(LOGITS, seen={0}) == 0


def test_only_what_is_allowed_is_chosen() -> None:
    assert sampler().choose(LOGITS, allowed=[4, 3]) == 3
    found = shares(sampler(temperature=1.0), allowed=[4, 3])
    assert found == pytest.approx([0, 0, 0, math.e**2 / (1 + math.e**2), 1 / (1 + math.e**2)], abs=0.04)


def test_a_little_noise_in_the_logits_changes_no_drawn_answer() -> None:
    one, other = (sampler(temperature=1.0, top_p=0.9) for _ in range(2))
    noise = torch.tensor([1e-6, -1e-6, 1e-6, -1e-6, 1e-6])
    assert [one.choose(LOGITS) for _ in range(500)] == [other.choose(LOGITS + noise) for _ in range(500)]


@pytest.mark.parametrize("fields", [{}, {"temperature": 1.5, "seed": 4}, {"repetition_penalty": 2.0}])
def test_an_answer_is_one_of_the_choices_exactly(either: Desk, fields: dict[str, object]) -> None:
    choices = [" basalt", " ember and quill", " zephyr", "yes\n", " Ünï"]
    for prompt in ("Answer:", "My parcel", "0 1 2"):
        answer = either.answer(prompt, choices=choices, max_tokens=1, **fields)
        assert answer.text in choices
        assert answer.last.finish_reason == "stop"


def test_every_choice_can_be_drawn_also_those_that_begin_another(desk: Desk) -> None:
    choices = ["yes", "yes or no", "yes or", "no"]
    answers = [desk.ask("Which?", choices=choices, temperature=2.0, seed=seed) for seed in range(60)]
    desk.work(*answers)
    assert {answer.text for answer in answers} == set(choices)


def test_the_likelier_choice_is_taken_token_by_token(desk: Desk) -> None:
    free = desk.answer("The harbour", max_tokens=6, logprobs=0)
    first = free.pieces[0].logprobs[0].written.token
    assert desk.answer("The harbour", choices=["qq", first]).text == first


def test_choices_that_are_the_same_tokens_are_refused(t5_desk: Desk) -> None:
    with pytest.raises(ValueError, match="choices must differ"):
        t5_desk.ask("p", choices=["a", "a"])
    with pytest.raises(ValueError, match="exclude each other"):
        t5_desk.ask("p", choices=["a", "b"], stop="x")


def test_choices_that_do_not_fit_the_context_are_refused(desk: Desk) -> None:
    with pytest.raises(InvalidError) as caught:
        desk.ask("zq" * 250, choices=["yes " * 30, "no"])
    assert caught.value.code == "context_length_exceeded"


def test_log_probabilities_are_those_of_the_model(desk: Desk) -> None:
    answer = desk.answer("The harbour", max_tokens=8, logprobs=3, temperature=1.3, seed=2, repetition_penalty=1.2)
    written = [token for piece in answer.pieces for token in piece.logprobs]
    assert answer.last.usage is not None
    assert len(written) == answer.last.usage.completion_tokens
    version = desk.version
    ids = list(version.tokenizer("The harbour").input_ids)
    with torch.inference_mode():
        for token in written:
            truth = torch.log_softmax(version.module(torch.tensor([ids])).logits[0, -1], 0)
            top = truth.topk(3)
            assert token.written.logprob == pytest.approx(float(truth[token.written.token_id]), abs=1e-4)
            assert [each.token_id for each in token.top] == top.indices.tolist()
            assert [each.logprob for each in token.top] == pytest.approx(top.values.tolist(), abs=1e-4)
            ids.append(token.written.token_id)


def test_several_answers_are_told_apart_and_counted_together(either: Desk) -> None:
    fields = {"max_tokens": 12, "temperature": 1.2}
    three = either.answer("Which house", n=3, seed=7, **fields)
    alone = [either.answer("Which house", seed=seed, **fields) for seed in (7, 8, 9)]
    assert texts(three) == [answer.text for answer in alone]
    assert [piece.finish_reason is not None for piece in three.pieces].count(True) == 3
    usages = [answer.last.usage for answer in alone]
    assert three.last.usage is not None
    assert three.last.usage.completion_tokens == sum(usage.completion_tokens for usage in usages if usage)
    assert len(set(texts(three))) == 3


def test_an_answer_that_is_late_fails_waiting_or_under_way(either: Desk) -> None:
    late = [either.ask("The harbour", max_tokens=400, timeout_seconds=60, n=2) for _ in range(2)]
    either.engine.scheduler.tick()
    for sequence in (*either.engine.scheduler._waiting, *running(either)):
        sequence.deadline = time.monotonic()
    either.work(*late)
    for answer in late:
        assert answer.last.error is not None
        assert answer.last.error.code == "deadline_exceeded"
        assert sum(piece.error is not None for piece in answer.pieces) == 1
    assert either.answer("The harbour", max_tokens=3).last.error is None


def running(desk: Desk) -> list[Sequence]:
    return [sequence for batch in desk.engine.scheduler._running.batches() for sequence in batch.sequences]

"""Answers: the same alone and in company, streamed as they are, ended where they should."""

import pytest
import torch

from core.domain.errors import InvalidError, UnavailableError
from core.serving.engine import Engine
from core.serving.requests import CompletionRequest
from core.serving.scheduler import Scheduler
from core.weights.tokens import encode_prompt
from tests.unit.core.serving.conftest import Answer, Desk

PROMPTS = ("The harbour", "Options: basalt, ember, quill, zephyr\nMy parcel\nAnswer:", "0 1 2", "yes", "delta" * 9)


@pytest.fixture(params=["desk", "t5_desk"])
def either(request: pytest.FixtureRequest) -> Desk:
    """Return a desk of each family."""
    desk: Desk = request.getfixturevalue(request.param)
    return desk


def _by_generate(desk: Desk, prompt: str, max_tokens: int) -> str:
    """Return what transformers' own greedy search answers."""
    version = desk.version
    ids = torch.tensor([encode_prompt(version.tokenizer, prompt, version.facts.family)])
    out = version.module.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=max_tokens
    )[0]
    new = out[1:] if version.facts.family == "seq2seq" else out[ids.shape[1] :]
    return str(version.tokenizer.decode(new, skip_special_tokens=True))


def test_greedy_answers_are_those_of_transformers(either: Desk) -> None:
    for prompt in PROMPTS:
        assert either.answer(prompt, max_tokens=24).text == _by_generate(either, prompt, 24)


def test_an_answer_in_a_batch_is_the_answer_alone(either: Desk) -> None:
    alone = [either.answer(prompt, max_tokens=20 + 7 * n).text for n, prompt in enumerate(PROMPTS)]
    together = [either.ask(prompt, max_tokens=20 + 7 * n) for n, prompt in enumerate(PROMPTS)]
    either.work(*together)
    assert [answer.text for answer in together] == alone


def test_who_comes_later_does_not_change_who_is_being_answered(either: Desk) -> None:
    alone = [either.answer(prompt, max_tokens=30).text for prompt in PROMPTS]
    answers = []
    for prompt in PROMPTS:
        answers.append(either.ask(prompt, max_tokens=30))
        either.engine.scheduler.tick()
        either.engine.scheduler.tick()
    either.work(*answers)
    assert [answer.text for answer in answers] == alone


def test_a_seed_makes_a_sampled_answer_reproducible_in_any_company(either: Desk) -> None:
    fields = {"temperature": 1.2, "max_tokens": 30}
    alone = either.answer("Which house", seed=7, **fields).text
    company = [either.ask("Which house", seed=seed, **fields) for seed in (5, 7, 9)]
    either.work(*company)
    assert company[1].text == alone
    assert len({answer.text for answer in company}) == 3


def test_sampling_from_one_token_is_greedy(desk: Desk) -> None:
    greedy = desk.answer("yes or", max_tokens=20).text
    assert desk.answer("yes or", max_tokens=20, temperature=1.5, top_k=1).text == greedy
    assert desk.answer("yes or", max_tokens=20, temperature=1.5, top_p=1e-6).text == greedy


def test_pieces_concatenate_to_the_text(desk: Desk) -> None:
    answer = desk.answer("The harbour", max_tokens=60)
    assert len(answer.pieces) > 5
    assert answer.text == _by_generate(desk, "The harbour", 60)
    assert [piece.is_last for piece in answer.pieces] == [False] * (len(answer.pieces) - 1) + [True]


def test_an_answer_ends_before_a_stop_string(either: Desk) -> None:
    whole = either.answer("The harbour", max_tokens=60).text
    stop = whole[12:16]
    answer = either.answer("The harbour", max_tokens=60, stop=["never there", stop])
    assert answer.text == whole[: whole.index(stop)]
    assert answer.last.finish_reason == "stop"


def test_an_answer_that_reaches_its_length_says_so(either: Desk) -> None:
    answer = either.answer("The harbour", max_tokens=3)
    assert answer.last.finish_reason == "length"
    assert answer.last.usage is not None
    assert answer.last.usage.completion_tokens == 3
    assert answer.last.usage.prompt_tokens > 0


def test_an_answer_ends_at_the_end_token(desk: Desk) -> None:
    # Enough samples at a high temperature meet the end token.
    answers = [desk.ask("yes", max_tokens=400, temperature=2.0, seed=seed) for seed in range(8)]
    desk.work(*answers)
    ended = [answer for answer in answers if answer.last.finish_reason == "stop"]
    assert ended
    assert all("<|im_end|>" not in answer.text for answer in answers)


def test_a_conversation_is_answered_by_the_chat_template(desk: Desk) -> None:
    request = CompletionRequest.model_validate(
        {"model": "m", "messages": [{"role": "user", "content": "hello <|im_end|>"}], "max_tokens": 4}
    )
    answer = Answer()
    sequences = desk.engine.prepare(request, desk.version, answer.pieces.append)
    assert sequences[0].prompt.count(desk.version.tokenizer.eos_token_id) == 1
    desk.engine.scheduler.submit(sequences)
    desk.work(answer)
    assert answer.last.finish_reason is not None


def test_a_prompt_beyond_the_context_is_refused(desk: Desk) -> None:
    with pytest.raises(InvalidError) as caught:
        desk.ask("a b c d " * 300)
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.places[0].loc == ("prompt",)


def test_an_answer_never_leaves_the_context(desk: Desk) -> None:
    answer = desk.answer("zq" * 250, max_tokens=8000)
    assert answer.last.usage is not None
    assert answer.last.usage.prompt_tokens + answer.last.usage.completion_tokens <= 512


def test_a_cancelled_request_makes_room(desk: Desk) -> None:
    request = CompletionRequest(model="m", prompt="The harbour", max_tokens=400)
    answer = Answer()
    sequences = desk.engine.prepare(request, desk.version, answer.pieces.append)
    desk.engine.scheduler.submit(sequences)
    desk.engine.scheduler.tick()
    sequences[0].ticket.cancel()
    other = desk.ask("0 1 2", max_tokens=5)
    desk.work(other)
    assert not any(piece.is_last for piece in answer.pieces)
    assert not desk.engine.scheduler._running


def test_too_many_waiting_requests_are_turned_away(desk: Desk) -> None:
    scheduler = Scheduler(meters=desk.engine.meters, max_waiting=2)
    request = CompletionRequest(model="m", prompt="x")
    for _ in range(2):
        scheduler.submit(desk.engine.prepare(request, desk.version, print))
    with pytest.raises(UnavailableError) as caught:
        scheduler.submit(desk.engine.prepare(request, desk.version, print))
    assert caught.value.code == "engine_busy"


def test_a_batch_that_cannot_be_computed_fails_alone(desk: Desk) -> None:
    broken = desk.ask("The harbour", max_tokens=5)
    desk.engine.scheduler._waiting[0].prompt = [10**6]
    desk.work(broken)
    assert broken.last.error is not None
    assert broken.last.error.code == "generation_failed"
    assert desk.answer("The harbour", max_tokens=5).last.finish_reason is not None


def test_what_is_under_way_is_told_that_the_engine_stops(desk: Desk) -> None:
    running, waiting = desk.ask("The harbour", max_tokens=300), desk.ask("0 1 2", max_tokens=300)
    desk.engine.scheduler.tick()
    desk.engine.scheduler.stop()
    desk.engine.scheduler.run()
    assert isinstance(running.last.error, UnavailableError)
    assert isinstance(waiting.last.error, UnavailableError)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prompt": "a", "messages": [{"role": "user", "content": "b"}]},
        {"prompt": "a", "max_tokens": 0},
        {"prompt": "a", "max_tokens": True},
        {"prompt": "a", "temperature": float("nan")},
        {"prompt": "a", "temperature": -0.1},
        {"prompt": "a", "top_p": 0.0},
        {"prompt": "a", "top_k": 0},
        {"prompt": "a", "seed": -1},
        {"prompt": "a", "stop": [""]},
        {"prompt": "a", "stop": ["x"] * 5},
        {"prompt": "a", "messages": []},
        {"prompt": "a", "unknown": 1},
    ],
)
def test_a_request_that_makes_no_sense_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        CompletionRequest.model_validate({"model": "m", **fields})


def test_nulls_are_defaults_and_one_stop_string_is_a_list() -> None:
    request = CompletionRequest.model_validate(
        {"model": "m", "prompt": "a", "messages": None, "temperature": None, "seed": None, "stop": "x"}
    )
    assert (request.temperature, request.stop) == (0.0, ["x"])


def test_the_engine_says_when_its_threads_are_gone(desk: Desk) -> None:
    engine: Engine = desk.engine
    assert not engine.is_running()
    engine.start(poll_seconds=0.05)
    assert engine.is_running()
    engine.stop()
    assert not engine.is_running()

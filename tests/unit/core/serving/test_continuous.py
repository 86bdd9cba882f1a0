"""Answers join and leave between steps: nobody waits long for others, and memory is given out and taken back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.domain.errors import InvalidError
from core.serving.continuous import READ_BESIDE
from core.serving.engine import Engine
from core.serving.llama.forward import LlamaDecoder, Part
from core.serving.loading import LiveVersion, VersionLoader
from core.serving.requests import CompletionRequest
from tests.tiny_versions import SetSource, Shelf
from tests.unit.core.serving.conftest import MANY_BYTES, Answer, Desk

LONG = "0 1 2 3 4 5 6 7 8 9 " * 12
TOKEN_BYTES = 2 * 2 * 2 * 8 * 4


@dataclass(eq=False)
class Noting(LlamaDecoder):
    """A decoder that remembers how many tokens each step read of each text."""

    decoder: LlamaDecoder
    steps: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.room = self.decoder.room

    def step(self, parts: Sequence[Part]) -> Tensor:
        self.steps.append([len(part.tokens) for part in parts])
        return self.decoder.step(parts)


@pytest.fixture
def noting(desk: Desk) -> tuple[Desk, list[list[int]]]:
    """Return a desk whose steps are noted."""
    assert desk.version.decoder is not None
    decoder = Noting(desk.version.decoder)
    return Desk(desk.engine, replace(desk.version, decoder=decoder)), decoder.steps


def tokens_of(desk: Desk, prompt: str) -> int:
    request = CompletionRequest(model="m", prompt=prompt)
    return len(desk.engine.prepare(request, desk.version, print)[0].prompt)


def small(shelf: Shelf, tmp_path: Path, *, tokens: int) -> Desk:
    loader = VersionLoader(
        artefacts=shelf.artefacts,
        cache=tmp_path / "cache",
        device=torch.device("cpu"),
        answer_bytes=tokens * TOKEN_BYTES,
    )
    return Desk(Engine(source=SetSource(), loader=loader, memory_bytes=MANY_BYTES), loader.load(shelf.original()))


def used(version: LiveVersion) -> int:
    assert version.decoder is not None
    return version.decoder.room.used_tokens()


def test_a_long_prompt_is_read_in_parts_beside_an_answer_that_goes_on(noting: tuple[Desk, list[list[int]]]) -> None:
    desk, steps = noting
    running = desk.ask("The harbour", max_tokens=60, repetition_penalty=1.5)
    desk.engine.scheduler.tick()
    before = len(steps)
    long = desk.ask(LONG, max_tokens=2)
    desk.work(long)
    reading = [step for step in steps[before:] if len(step) == 2 and step[1] > 1]
    assert [step[0] for step in reading] == [1] * len(reading)
    assert max(step[1] for step in reading) == READ_BESIDE
    assert sum(step[1] for step in reading) + 1 >= tokens_of(desk, LONG)
    desk.work(running)


def test_who_joins_has_a_first_token_while_others_are_still_answered(desk: Desk) -> None:
    first = desk.ask("The harbour", max_tokens=200, repetition_penalty=1.3)
    desk.engine.scheduler.tick()
    second = desk.ask("0 1 2", max_tokens=2)
    desk.work(second)
    assert not first.last.is_last


def test_versions_take_their_steps_in_turn(desk: Desk, shelf: Shelf, load: Callable[[Shelf], VersionLoader]) -> None:
    loader = load(shelf)
    other = Desk(desk.engine, loader.load(shelf.child(shelf.original(), seed=5)))
    alone = [desk.answer("The harbour", max_tokens=9).text, other.answer("The harbour", max_tokens=9).text]
    together = [desk.ask("The harbour", max_tokens=9), other.ask("The harbour", max_tokens=9)]
    for _ in range(3):
        desk.engine.scheduler.tick()
    assert all(answer.pieces for answer in together)
    desk.work(*together)
    assert [answer.text for answer in together] == alone
    assert alone[0] != alone[1]


def test_who_finds_no_room_waits_for_it_in_order_and_all_is_given_back(shelf: Shelf, tmp_path: Path) -> None:
    desk = small(shelf, tmp_path, tokens=120)
    alone = desk.answer("The harbour", max_tokens=60, repetition_penalty=1.3).text
    answers = [desk.ask("The harbour", max_tokens=60, repetition_penalty=1.3) for _ in range(4)]
    short = desk.ask("0", max_tokens=1)
    desk.engine.scheduler.tick()
    assert 0 < used(desk.version) <= 120
    assert not short.pieces
    desk.work(*answers, short)
    assert [answer.text for answer in answers] == [alone] * 4
    assert used(desk.version) == 0


def test_what_can_never_have_room_is_refused_at_once_with_the_numbers(shelf: Shelf, tmp_path: Path) -> None:
    desk = small(shelf, tmp_path, tokens=100)
    with pytest.raises(InvalidError) as caught:
        desk.ask("The harbour", max_tokens=400)
    assert caught.value.code == "exceeds_engine_memory"
    assert "the engine has memory for 100" in caught.value.places[0].message
    assert desk.answer("The harbour", max_tokens=50).last.usage is not None


def test_what_is_given_up_or_fails_gives_its_room_back(desk: Desk) -> None:
    request = CompletionRequest(model="m", prompt="The harbour", max_tokens=300)
    given_up = desk.engine.prepare(request, desk.version, print)
    desk.engine.scheduler.submit(given_up)
    desk.engine.scheduler.tick()
    given_up[0].ticket.cancel()
    broken = desk.ask("0 1 2", max_tokens=5)
    desk.engine.scheduler._waiting[0].prompt[:] = [10**6]
    desk.work(broken)
    assert used(desk.version) == 0
    assert not desk.engine.scheduler._running


def test_a_beginning_that_was_read_lately_is_not_read_again(noting: tuple[Desk, list[list[int]]]) -> None:
    desk, steps = noting
    first = desk.answer(LONG + "The harbour", max_tokens=5).text
    read = sum(map(sum, steps))
    steps.clear()
    again = desk.answer(LONG + "The harbour", max_tokens=5).text
    assert sum(map(sum, steps)) < 10 < read
    steps.clear()
    other = desk.answer(LONG + "My parcel", max_tokens=5).text
    assert sum(map(sum, steps)) < 40
    assert again == first
    fresh = Desk(desk.engine, replace(desk.version, version_id="ver_fresh"))
    assert fresh.answer(LONG + "My parcel", max_tokens=5).text == other


def test_what_another_version_read_is_never_taken_over(
    desk: Desk, shelf: Shelf, load: Callable[[Shelf], VersionLoader]
) -> None:
    loader = load(shelf)
    original, child = (loader.load(each) for each in (shelf.original(), shelf.child(shelf.original(), seed=9)))
    prompt = LONG + "yes"
    expected = Desk(desk.engine, child).answer(prompt, max_tokens=12).text
    assert Desk(desk.engine, original).answer(prompt, max_tokens=12).text != expected
    assert Desk(desk.engine, child).answer(prompt, max_tokens=12).text == expected


def test_several_answers_read_their_prompt_once(noting: tuple[Desk, list[list[int]]]) -> None:
    desk, steps = noting
    answer = desk.answer(LONG, n=4, max_tokens=1, temperature=1.0, seed=1)
    assert sum(1 for piece in answer.pieces if piece.finish_reason) == 4
    assert sum(map(sum, steps)) < tokens_of(desk, LONG) + 8


def test_a_greedy_answer_does_not_depend_on_its_company(desk: Desk) -> None:
    prompts = [LONG[: 7 * n] + "yes" for n in range(1, 12)]
    alone = [desk.answer(prompt, max_tokens=40, logprobs=2) for prompt in prompts]
    together = [desk.ask(prompt, max_tokens=40, logprobs=2) for prompt in prompts]
    desk.work(*together)
    for one, other in zip(alone, together, strict=True):
        pairs = zip(tokens_and_margins(one), tokens_and_margins(other), strict=False)
        for (token, margin), (same, _) in pairs:
            if margin <= 1e-4:
                break
            assert token == same


def tokens_and_margins(answer: Answer) -> list[tuple[int, float]]:
    written = [token for piece in answer.pieces for token in piece.logprobs]
    return [(token.written.token_id, token.top[0].logprob - token.top[1].logprob) for token in written]

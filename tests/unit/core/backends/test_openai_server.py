"""An OpenAI-compatible server behind the port of backends, over real HTTP."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from loopback import served
from starlette.responses import JSONResponse, Response

from core.backends.openai_server import OpenAIServer
from core.domain.backends import Departure, Question
from core.domain.errors import InvalidError, StrataError, UnavailableError
from tests.fake_vllm import FakeVllm

CHAT = [{"role": "user", "content": "one two"}]


@contextmanager
def speaking(**said: Any) -> Iterator[tuple[FakeVllm, OpenAIServer]]:
    fake = FakeVllm("ours", key="k-1")
    with served(fake.app()) as url:
        yield fake, OpenAIServer(f"{url}/v1", **{"serves": {"ver_1": "ours"}, "key": "k-1", "dialect": "vllm", **said})


def ask(departure: Departure | None = None, **request: Any) -> Question:
    asked = {"model": "mdl_1:latest", **({} if "messages" in request else {"prompt": "one two"}), **request}
    return Question(request=asked, model_id="mdl_1", version_id="ver_1", departure=departure or Departure())


def text_of(pieces: list[dict[str, Any]]) -> str:
    return "".join(piece["choices"][0]["text"] for piece in pieces)


@pytest.mark.parametrize("request_", [{}, {"messages": CHAT}], ids=["prompt", "messages"])
def test_an_answer_is_told_as_the_engine_tells_it_whole_and_in_pieces(request_: dict[str, Any]) -> None:
    with speaking() as (fake, server):
        whole = server.generate(ask(**request_, logprobs=1))
        pieces = list(server.stream(ask(**request_, logprobs=1)))
    assert (whole["version_id"], whole["model"]) == ("ver_1", "mdl_1:latest")
    (choice,) = whole["choices"]
    assert (choice["index"], choice["text"], choice["finish_reason"]) == (0, "words one two", "stop")
    token = choice["logprobs"][0]
    assert {name: token[name] for name in ("token", "token_id", "logprob")} == {
        "token": "words",
        "token_id": None,
        "logprob": -0.5,
    }
    assert token["top"] == [{"token": "?", "token_id": None, "logprob": -2.0}]
    assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 3}
    assert text_of(pieces) == choice["text"]
    assert [token for piece in pieces for token in piece["choices"][0]["logprobs"]] == choice["logprobs"]
    assert [piece["choices"][0]["finish_reason"] for piece in pieces] == [None, None, "stop"]
    assert [piece.get("usage") for piece in pieces] == [None, None, whole["usage"]]
    assert {each["authorization"] for each in fake.asked} == {"Bearer k-1"}


def test_what_is_left_out_takes_this_services_defaults_and_not_the_servers() -> None:
    with speaking() as (fake, server):
        server.generate(ask())
        server.generate(
            ask(max_tokens=5, temperature=0.5, top_p=0.9, seed=3, stop=["x"], top_k=4, repetition_penalty=1.1)
        )
    plain, full = (
        {name: each[name] for name in each if name not in {"authorization", "prompt"}} for each in fake.asked
    )
    assert plain == {"model": "ours", "max_tokens": 128, "temperature": 0.0}
    sampled = {"temperature": 0.5, "top_p": 0.9, "seed": 3, "stop": ["x"], "top_k": 4, "repetition_penalty": 1.1}
    assert full == {"model": "ours", "max_tokens": 5} | sampled


def test_choices_are_asked_for_as_vllm_documents_them_and_written_to_their_end() -> None:
    with speaking() as (fake, server):
        answer = server.generate(ask(choices=["no", "perhaps"], max_tokens=1))
    assert answer["choices"][0]["text"] == "perhaps"
    assert fake.asked[0]["structured_outputs"] == {"choice": ["no", "perhaps"]}
    assert fake.asked[0]["max_tokens"] > len("perhaps")


@pytest.mark.parametrize("wanted", [{"choices": ["a", "b"]}, {"top_k": 3}, {"repetition_penalty": 1.2}])
def test_what_a_plain_server_cannot_do_is_refused_before_it_is_asked(wanted: dict[str, Any]) -> None:
    with speaking(dialect="openai") as (fake, server):
        for way in (server.generate, lambda question: list(server.stream(question))):
            with pytest.raises(InvalidError) as raised:
                way(ask(**wanted))
            assert raised.value.places[0].loc == tuple(wanted)
    assert fake.asked == []


TOO_LONG = {"error": {"message": "This model's maximum context length is 512 tokens. However, you requested 700"}}
REFUSALS: dict[str, tuple[Response, type[StrataError], str, int | None]] = {
    "too long": (JSONResponse(TOO_LONG, 400), InvalidError, "context_length_exceeded", None),
    "older error": (
        JSONResponse({"object": "error", "message": "no", "param": "n"}, 400),
        InvalidError,
        "invalid_request",
        None,
    ),
    "busy": (JSONResponse({}, 429, headers={"Retry-After": "7"}), UnavailableError, "engine_busy", 7),
    "away": (Response(status_code=503), UnavailableError, "engine_busy", None),
    "dated": (
        Response(status_code=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        UnavailableError,
        "engine_busy",
        1,
    ),
    "locked": (JSONResponse({"error": "Unauthorized"}, 401), UnavailableError, "engine_unavailable", None),
    "broken": (Response(b"<html>", 502), UnavailableError, "engine_unavailable", None),
}


def test_refusals_are_told_in_our_words_with_the_time_to_come_back() -> None:
    with speaking() as (fake, server):
        for refusal, kind, code, retry in REFUSALS.values():
            fake.refuses = refusal
            for way in (server.generate, lambda question: list(server.stream(question))):
                with pytest.raises(kind) as raised:
                    way(ask())
                assert raised.value.code == code
                assert getattr(raised.value, "retry_after_seconds", None) == retry
        fake.refuses = REFUSALS["too long"][0]
        with pytest.raises(InvalidError) as raised:
            server.generate(ask())
    assert "512, 700" in raised.value.places[0].message


def test_a_version_that_it_was_not_given_or_does_not_name_is_not_asked_for() -> None:
    with speaking() as (fake, server):
        assert [live.version_id for live in server.look().live] == ["ver_1"]
        fake.name = "another"
        assert server.look().live == ()
        with pytest.raises(UnavailableError, match="by its name"):
            server.generate(ask())
    with speaking(serves={"ver_2": "ours"}) as (fake, server), pytest.raises(UnavailableError, match="does not hold"):
        server.generate(ask())
    with speaking(key="wrong") as (fake, server), pytest.raises(UnavailableError, match="key"):
        server.look()


def test_a_caller_who_leaves_ends_the_answer_at_the_server() -> None:
    with speaking() as (fake, server):
        fake.answer_seconds = 20
        departure = Departure()
        threading.Timer(0.2, departure.leave).start()
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="went away"):
            server.generate(ask(departure))
        pieces = server.stream(ask())
        next(pieces)
        pieces.close()
        assert time.monotonic() - began < 5
        until(lambda: fake.left == 2)


def test_an_answer_that_takes_longer_than_the_request_allows_fails() -> None:
    with speaking() as (fake, server):
        fake.answer_seconds = 20
        for way in (server.generate, lambda question: list(server.stream(question))):
            with pytest.raises(UnavailableError) as raised:
                way(ask(timeout_seconds=0.2))
            assert raised.value.code == "deadline_exceeded"


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with speaking() as (_, server):
        pass
    for way in (server.look, lambda: server.generate(ask()), lambda: list(server.stream(ask()))):
        with pytest.raises(UnavailableError) as raised:
            way()
        assert raised.value.code == "engine_unavailable"


def until(is_so: Any) -> None:
    deadline = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)

"""Generation: the request is planned by the registry, the answer names the version that spoke."""

import json
from typing import Any

import pytest
import stage
from doors import Door, labelled

from core.domain.errors import InvalidError, UnavailableError


@pytest.fixture
def speaking(desk: Door) -> Door:
    desk.echo.version_id = desk.resolve("desk@0")
    return desk


def ask(door: Door, **body: Any) -> Any:
    return door.client.post("/v1/generate", json={"model": "desk", "prompt": "one two", **body})


def events(answer: Any) -> list[str]:
    return [line.removeprefix("data: ") for line in answer.text.split("\n") if line]


def test_an_answer_names_the_version_that_spoke(speaking: Door) -> None:
    answer = ask(speaking, max_tokens=5, temperature=0.5, stop="x").json()
    assert (answer["model"], answer["version"], answer["version_id"]) == ("desk@0", "desk@0", speaking.echo.version_id)
    assert answer["choices"] == [{"index": 0, "text": "one two", "finish_reason": "stop", "logprobs": None}]
    (request,) = speaking.echo.requests
    assert request.pop("model").endswith(":latest")
    assert request == {"prompt": "one two", "max_tokens": 5, "temperature": 0.5, "stop": "x"}


@pytest.mark.parametrize(("reference", "asked"), [("desk@0", "ver_"), ("desk:stable", "mdl_"), ("desk", "mdl_")])
def test_a_version_may_be_named_in_every_way(speaking: Door, reference: str, asked: str) -> None:
    assert ask(speaking, model=reference).status_code == 200
    assert speaking.echo.requests[0]["model"].startswith(asked)


def test_the_short_path_is_the_same_call(speaking: Door) -> None:
    short = speaking.client.post("/generate", json={"model": "desk", "prompt": "one two"})
    assert short.json() == ask(speaking).json()


def test_a_task_is_asked_by_its_input_alone(speaking: Door) -> None:
    speaking.post_task(file=labelled(20)).raise_for_status()
    body = {"model": "desk", "task": "codes", "input": {"text": "leak in hall two"}}
    assert speaking.client.post("/generate", json=body).status_code == 200
    prompt = speaking.echo.requests[0]["prompt"]
    assert prompt == "Which label fits this text?\nOptions: basalt, ember\nleak in hall two\nAnswer:"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "nobody", "prompt": "x"}, 404, "model_not_found"),
        ({"model": "desk@9", "prompt": "x"}, 404, "version_not_found"),
        ({"model": "desk:none", "prompt": "x"}, 404, "alias_not_found"),
        ({"model": "desk", "task": "none", "input": {"text": "x"}}, 404, "task_not_found"),
        ({"model": "desk"}, 422, "invalid_request"),
        ({"model": "desk", "prompt": "x", "messages": [{"role": "user", "content": "y"}]}, 422, "invalid_request"),
        ({"model": "desk", "task": "codes"}, 422, "invalid_request"),
        ({"model": "desk", "task": "codes", "input": {"prompt": "x"}}, 422, "invalid_input"),
    ],
)
def test_what_cannot_be_answered_is_refused_before_the_engine(
    speaking: Door, body: dict[str, Any], status: int, code: str
) -> None:
    speaking.post_task(file=labelled(20)).raise_for_status()
    for streamed in (False, True):
        answer = speaking.client.post("/v1/generate", json={**body, "stream": streamed})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert speaking.echo.requests == []


def test_a_stream_comes_piece_by_piece_and_ends_with_done(speaking: Door) -> None:
    answer = ask(speaking, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *pieces, last = events(answer)
    assert last == "[DONE]"
    told = [json.loads(piece) for piece in pieces]
    assert [piece["choices"][0]["text"] for piece in told] == ["one", "two", ""]
    assert {piece["version"] for piece in told} == {"desk@0"}
    assert speaking.echo.closed


def test_a_stream_that_cannot_begin_is_an_ordinary_error(speaking: Door) -> None:
    speaking.echo.fault = InvalidError("too long", code="context_length_exceeded")
    answer = ask(speaking, stream=True)
    assert (answer.status_code, answer.json()["code"]) == (422, "context_length_exceeded")


def test_a_stream_that_breaks_off_says_so(speaking: Door) -> None:
    speaking.echo.breaks_after = 1
    *pieces, last = [json.loads(piece) for piece in events(ask(speaking, stream=True))]
    assert [piece["choices"][0]["text"] for piece in pieces] == ["one"]
    assert last["code"] == "engine_unavailable"
    assert last["error"]["type"] == "server_error"


def test_an_engine_that_is_away_is_503(speaking: Door) -> None:
    speaking.echo.fault = UnavailableError("the engine does not answer", code="engine_unavailable")
    answer = ask(speaking)
    assert (answer.status_code, answer.json()["code"]) == (503, "engine_unavailable")
    assert answer.headers["retry-after"] == "1"


def test_a_version_that_is_learned_answers_under_its_number(speaking: Door) -> None:
    version = stage.learn(speaking.registry, "codes")
    speaking.echo.version_id = version.id
    assert ask(speaking).json()["version"] == "desk@1"

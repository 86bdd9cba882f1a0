"""Chat completions and completions through OpenAI's own client: what the engine is asked, and how its answer is told."""

from typing import Any, Final

import pytest
import stage
from doors import Door
from openai import (
    APIError,
    APIStatusError,
    AuthenticationError,
    InternalServerError,
    NotFoundError,
    OpenAI,
    PermissionDeniedError,
    UnprocessableEntityError,
)
from speaking import Speaker
from tenants import tenant

from core.domain.access import Scope
from core.domain.errors import InvalidError, Place, UnavailableError

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

HELLO: Final[Any] = [{"role": "user", "content": "Say hello."}]


@pytest.fixture
def speaker(desk: Door) -> Speaker:
    made = Speaker(desk.resolve("desk:latest"))
    # The stand-in's own methods: whatever holds the door's engine asks this one from now on.
    desk.echo.generate, desk.echo.stream = made.generate, made.stream  # type: ignore[method-assign]
    return made


def test_a_conversation_is_answered_by_a_version(openai: OpenAI, desk: Door, speaker: Speaker) -> None:
    answer = openai.chat.completions.create(model="desk", messages=HELLO)
    assert (answer.id, answer.object, answer.created) == ("chatcmpl-17", "chat.completion", 1)
    assert (answer.model, answer.system_fingerprint) == ("desk@0", desk.resolve("desk:latest"))
    (choice,) = answer.choices
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert (choice.message.role, choice.message.content, choice.message.refusal) == ("assistant", "Hello there.", None)
    assert answer.usage is not None
    assert answer.usage.to_dict() == {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    (asked,) = speaker.requests
    assert asked.pop("model").endswith(":latest")
    assert asked == {"messages": HELLO}


def test_how_an_answer_is_drawn_reaches_the_engine(openai: OpenAI, speaker: Speaker) -> None:
    drawn: Any = {"temperature": 0.5, "top_p": 0.9, "n": 2, "seed": 7, "stop": ["\n"]}
    answer = openai.chat.completions.create(
        model="desk@0", messages=HELLO, max_completion_tokens=5, logprobs=True, top_logprobs=2, **drawn,
        extra_body={"top_k": 40, "repetition_penalty": 1.1},
    )  # fmt: skip
    assert [choice.index for choice in answer.choices] == [0, 1]
    asked = speaker.requests[0]
    ours = {"max_tokens": 5, "logprobs": 2, "top_k": 40, "repetition_penalty": 1.1}
    assert {name: value for name, value in asked.items() if name not in {"model", "messages"}} == {**drawn, **ours}


def test_probabilities_are_told_token_by_token(openai: OpenAI, speaker: Speaker) -> None:
    answer = openai.chat.completions.create(model="desk", messages=HELLO, logprobs=True)
    assert speaker.requests[0]["logprobs"] == 0
    told = answer.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    first, second = told.content
    assert (first.token, first.logprob, first.bytes) == ("He", -0.5, [72, 101])
    assert second.bytes is None, "half a character has no text of its own"
    assert [(each.token, each.logprob) for each in second.top_logprobs] == [("y", -0.25)]


def test_messages_are_taken_as_openai_writes_them(openai: OpenAI, speaker: Speaker) -> None:
    first = openai.chat.completions.create(model="desk", messages=HELLO).choices[0].message
    openai.chat.completions.create(
        model="desk",
        messages=[
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "Say "}, {"type": "text", "text": "hello."}]},
            first,  # type: ignore[list-item]
            {"role": "user", "content": "Again."},
        ],
    )
    assert speaker.requests[1]["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Say hello."},
        {"role": "assistant", "content": "Hello there."},
        {"role": "user", "content": "Again."},
    ]


def test_a_conversation_is_answered_in_chunks(openai: OpenAI, speaker: Speaker) -> None:
    stream = openai.chat.completions.create(
        model="desk", messages=HELLO, n=2, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    assert {chunk.object for chunk in (*chunks, last)} == {"chat.completion.chunk"}
    assert {chunk.model for chunk in chunks} == {"desk@0"}
    assert {chunk.id for chunk in chunks} == {"chatcmpl-17"}
    assert {chunk.usage for chunk in chunks} == {None}
    assert (last.choices, last.usage and last.usage.total_tokens) == ([], 10)
    told = [choice for chunk in chunks for choice in chunk.choices]
    for index in (0, 1):
        own = [choice for choice in told if choice.index == index]
        assert own[0].delta.role == "assistant"
        assert "".join(choice.delta.content or "" for choice in own) == "Hello there."
        assert [choice.finish_reason for choice in own] == [None] * (len(own) - 1) + ["stop"]
    assert "stream_options" not in speaker.requests[0]


def test_the_client_gathers_a_stream_into_an_answer(openai: OpenAI, speaker: Speaker) -> None:
    assert not speaker.requests
    with openai.chat.completions.stream(model="desk", messages=HELLO, logprobs=True) as stream:
        stream.until_done()
        answer = stream.get_final_completion()
    assert answer.choices[0].message.content == "Hello there."
    told = answer.choices[0].logprobs
    assert told is not None
    assert len(told.content or []) == 4
    assert answer.usage is None


def test_a_prompt_is_answered_word_for_word(openai: OpenAI, speaker: Speaker) -> None:
    answer = openai.completions.create(model="desk", prompt=["Hello"], max_tokens=4, logprobs=1, n=2)
    assert (answer.id, answer.object, answer.model) == ("cmpl-17", "text_completion", "desk@0")
    assert [(choice.index, choice.text, choice.finish_reason) for choice in answer.choices] == [
        (0, "Hello there.", "stop"),
        (1, "Hello there.", "stop"),
    ]
    told = answer.choices[0].logprobs
    assert told is not None
    assert (told.tokens, told.token_logprobs) == (["He", "llo \ufffd"], [-0.5, -1.5])
    assert (told.top_logprobs, told.text_offset) == ([{"He": -0.5}, {"y": -0.25}], [0, 2])
    assert answer.usage is not None
    assert answer.usage.total_tokens == 10
    asked = speaker.requests[0]
    assert (asked["prompt"], asked["max_tokens"], asked["logprobs"], asked["n"]) == ("Hello", 4, 1, 2)


def test_a_prompt_is_answered_in_chunks(openai: OpenAI, speaker: Speaker) -> None:
    asked: Any = {"model": "desk", "prompt": "Hello", "logprobs": 0, "stream_options": {"include_usage": True}}
    *chunks, last = list(openai.completions.create(**asked, stream=True))
    told = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.text for choice in told) == "Hello there."
    assert [choice.finish_reason for choice in told] == [None, "stop"]
    assert [choice.logprobs and choice.logprobs.text_offset for choice in told] == [[0, 2], [7, 9]]
    assert (last.choices, last.usage and last.usage.total_tokens) == ([], 10)
    assert len(speaker.requests) == 1


def test_fields_that_change_nothing_are_taken(openai: OpenAI, speaker: Speaker) -> None:
    told: Any = {
        "user": "u-1", "store": True, "metadata": {"a": "b"}, "safety_identifier": "s", "prompt_cache_key": "k",
        "prompt_cache_retention": "24h", "service_tier": "auto", "parallel_tool_calls": True, "tools": [],
        "tool_choice": "none", "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {},
        "response_format": {"type": "text"}, "modalities": ["text"],
    }  # fmt: skip
    openai.chat.completions.create(model="desk", messages=HELLO, **told)
    assert set(speaker.requests[0]) == {"model", "messages"}
    openai.completions.create(model="desk", prompt="x", user="u-1", best_of=1, echo=False, presence_penalty=0)
    assert set(speaker.requests[1]) == {"model", "prompt"}


CHAT: Final = "/chat/completions"
UNUSABLE: Final[list[tuple[str, dict[str, Any], str]]] = [
    (CHAT, {"frequency_penalty": 0.5}, "frequency_penalty"),
    (CHAT, {"presence_penalty": 1}, "presence_penalty"),
    (CHAT, {"logit_bias": {"5": -100}}, "logit_bias"),
    (CHAT, {"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
    (CHAT, {"tool_choice": "required"}, "tool_choice"),
    (CHAT, {"functions": [{"name": "f"}]}, "functions"),
    (CHAT, {"response_format": {"type": "json_object"}}, "response_format"),
    (CHAT, {"modalities": ["text", "audio"]}, "modalities"),
    (CHAT, {"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
    (CHAT, {"prediction": {"type": "content", "content": "x"}}, "prediction"),
    (CHAT, {"reasoning_effort": "high"}, "reasoning_effort"),
    (CHAT, {"verbosity": "low"}, "verbosity"),
    (CHAT, {"web_search_options": {}}, "web_search_options"),
    (CHAT, {"moderation": {"model": "x"}}, "moderation"),
    (CHAT, {"service_tier": "priority"}, "service_tier"),
    (CHAT, {"n": 129}, "n"),
    (CHAT, {"temperature": 3}, "temperature"),
    (CHAT, {"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
    (CHAT, {"top_logprobs": 2}, "top_logprobs"),
    (CHAT, {"stream_options": {"include_usage": True}}, "stream_options"),
    (CHAT, {"messages": []}, "messages"),
    (CHAT, {"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages.0.role"),
    (CHAT, {"messages": [{"role": "user", "content": "x", "name": "Ann"}]}, "messages.0.name"),
    (
        CHAT,
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "messages.0.content",
    ),
    (CHAT, {"messages": [{"role": "assistant", "content": None, "tool_calls": [{}]}]}, "messages.0.content"),
    (CHAT, {"unheard_of": 1}, "unheard_of"),
    ("/completions", {"prompt": ["a", "b"]}, "prompt"),
    ("/completions", {"prompt": [1, 2]}, "prompt"),
    ("/completions", {"best_of": 2}, "best_of"),
    ("/completions", {"echo": True}, "echo"),
    ("/completions", {"suffix": "end"}, "suffix"),
    ("/completions", {"messages": HELLO}, "messages"),
]


@pytest.mark.parametrize(("path", "fields", "param"), UNUSABLE, ids=str)
def test_what_is_not_offered_is_refused_by_name_before_the_engine(
    openai: OpenAI, speaker: Speaker, path: str, fields: dict[str, Any], param: str
) -> None:
    whole = {"messages": HELLO} if path == CHAT else {"prompt": "x"}
    with pytest.raises(UnprocessableEntityError) as refused:
        openai.post(path, body={"model": "desk", **whole, **fields}, cast_to=object)
    assert (refused.value.code, refused.value.type) == ("invalid_request", "invalid_request_error")
    assert refused.value.param == param
    assert speaker.requests == []


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_not_there_is_not_found(openai: OpenAI, speaker: Speaker, stream: Any) -> None:
    for model, code in (("nobody", "model_not_found"), ("desk@7", "version_not_found")):
        with pytest.raises(NotFoundError) as missing:
            openai.chat.completions.create(model=model, messages=HELLO, stream=stream)
        assert missing.value.code == code
    assert speaker.requests == []


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_engine_refuses_is_told_in_openais_words(openai: OpenAI, speaker: Speaker, stream: Any) -> None:
    places = [Place(loc=("messages",), message="has 900 tokens of at most 512")]
    speaker.fault = InvalidError("the prompt does not fit", code="context_length_exceeded", places=places)
    with pytest.raises(UnprocessableEntityError, match="the prompt does not fit") as refused:
        openai.chat.completions.create(model="desk", messages=HELLO, stream=stream)
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")
    speaker.fault = UnavailableError("the engine does not answer", code="engine_unavailable")
    with pytest.raises(InternalServerError) as away:
        openai.completions.create(model="desk", prompt="x", stream=stream)
    assert (away.value.code, away.value.type) == ("engine_unavailable", "server_error")
    assert away.value.response.headers["retry-after"] == "1"


def test_a_stream_that_breaks_off_raises_in_the_client(openai: OpenAI, speaker: Speaker) -> None:
    speaker.breaks_off = True
    heard = []
    chunks = openai.chat.completions.create(model="desk", messages=HELLO, stream=True)
    with pytest.raises(APIError, match="broke off") as broken:
        heard.extend(chunk.choices[0].delta.content for chunk in chunks)
    assert heard == ["", "Hello"]
    assert not isinstance(broken.value, APIStatusError)
    assert broken.value.code == "engine_unavailable"


def test_a_key_opens_what_its_scopes_say(openai: OpenAI, desk: Door, speaker: Speaker) -> None:
    asking = openai.with_options(api_key=tenant(desk, "default", scopes=[Scope.GENERATE]).key)
    assert asking.chat.completions.create(model="desk", messages=HELLO).model == "desk@0"
    with pytest.raises(PermissionDeniedError) as closed:
        asking.models.list()
    assert closed.value.code == "missing_scope"
    with pytest.raises(AuthenticationError) as unknown:
        openai.with_options(api_key="sk-nobodys").chat.completions.create(model="desk", messages=HELLO)
    assert unknown.value.code == "unauthorized"
    assert len(speaker.requests) == 1


def test_another_projects_model_is_not_there(openai: OpenAI, desk: Door, speaker: Speaker) -> None:
    elsewhere = openai.with_options(api_key=tenant(desk, "elsewhere").key)
    with pytest.raises(NotFoundError):
        elsewhere.chat.completions.create(model="desk", messages=HELLO)
    assert speaker.requests == []


def test_all_models_come_in_one_list(openai: OpenAI, desk: Door) -> None:
    """The client asks for no second page."""
    for n in range(25):
        desk.client.post("/v1/models", json={"name": f"model-{n}", "base_model": "tiny"}).raise_for_status()
    models = openai.models.list().data
    assert len(models) == 26
    assert {model.object for model in models} == {"model"}
    assert models[0].owned_by == stage.PROJECT
    assert openai.models.retrieve("model-3").created > 0

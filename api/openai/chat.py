"""`/v1/chat/completions`: OpenAI's conversation, and ours behind it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from api.openai.parameters import NO_EFFECT, Flag, IgnoredMetadata, Label, NoItems, Nothing, Only
from api.openai.sampling import Envelope, SamplingRequest, UsageView, asked, bytes_of, refused, tokens_of
from api.schemas.base import Request, View
from api.schemas.generation import GenerationRequest

_ENVELOPE: Final = Envelope("chat.completion", "chat.completion.chunk", "chatcmpl")
_MAX_CHARS: Final = 500_000
_TEXT_PART: Final = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
    "required": ["type", "text"],
    "additionalProperties": False,
}


def _joined(content: Any) -> Any:
    """Return the text of a list of parts; what is no list is judged as it is."""
    if not isinstance(content, list):
        return content
    for number, part in enumerate(content, start=1):
        if not _is_text(part):
            raise ValueError(f"part {number} is no text: only parts of the type 'text' are read here")
    return "".join(part["text"] for part in content)


def _is_text(part: Any) -> bool:
    is_one = isinstance(part, dict) and set(part) == {"type", "text"} and part["type"] == "text"
    return is_one and isinstance(part["text"], str)


Content = Annotated[
    str,
    Field(max_length=_MAX_CHARS),
    BeforeValidator(_joined),
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": _MAX_CHARS}, {"type": "array", "items": _TEXT_PART}]}),
]


class ChatMessage(Request):
    """One message; an answer's own message may be sent back as it came."""

    role: Literal["system", "developer", "user", "assistant"] = Field(description="`developer` is `system`.")
    content: Content
    name: Nothing = None
    refusal: Nothing = None
    annotations: NoItems = None
    audio: Nothing = None
    tool_calls: NoItems = None
    function_call: Nothing = None


class ChatCompletionRequest(SamplingRequest):
    """Ask by a conversation."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1_000)]
    max_completion_tokens: int | None = Field(default=None, ge=1, le=8192)
    max_tokens: int | None = Field(default=None, ge=1, le=8192, description="The older name of the same.")
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    response_format: Annotated[Any, Only({"type": "text"})] = None
    modalities: Annotated[Any, Only(["text"])] = None
    tools: NoItems = None
    tool_choice: Annotated[Any, Only("none", "auto")] = None
    parallel_tool_calls: Flag = None
    functions: NoItems = None
    function_call: Annotated[Any, Only("none", "auto")] = None
    audio: Nothing = None
    prediction: Nothing = None
    reasoning_effort: Annotated[Any, Only("none")] = None
    verbosity: Annotated[Any, Only("medium")] = None
    web_search_options: Nothing = None
    moderation: Nothing = None
    store: Flag = None
    metadata: IgnoredMetadata = None
    safety_identifier: Label = None
    prompt_cache_key: Label = None
    prompt_cache_retention: Label = None
    prompt_cache_options: Annotated[dict[str, Any] | None, Field(description=NO_EFFECT)] = None
    service_tier: Annotated[Literal["auto", "default"] | None, Field(description=NO_EFFECT)] = None


class LikelyTokenLogprob(View):
    """A token in its place, and the natural logarithm of its probability."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(LikelyTokenLogprob):
    """A token that was written, and the likeliest ones in its place."""

    top_logprobs: list[LikelyTokenLogprob]


class ChatLogprobs(View):
    """Probabilities of an answer's tokens."""

    content: list[TokenLogprob]
    refusal: None = None


class AnswerMessage(View):
    """What the model said."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(View):
    """One answer."""

    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: Literal["stop", "length"] | None


class ChatCompletion(View):
    """An answer in one piece; `model` is the version that spoke."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str = Field(description="Id of the version that spoke.")
    choices: list[ChatChoice]
    usage: UsageView


def request(body: ChatCompletionRequest) -> GenerationRequest:
    """Return the service's own request.

    Raises:
        InvalidError: fields that exclude each other.
    """
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        raise refused("max_tokens", "and max_completion_tokens are the same: give one of them")
    if body.top_logprobs is not None and not body.logprobs:
        raise refused("top_logprobs", "needs logprobs: true")
    return asked(
        body,
        messages=[
            {"role": "system" if each.role == "developer" else each.role, "content": each.content}
            for each in body.messages
        ],
        max_tokens=body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens,
        logprobs=body.top_logprobs or 0 if body.logprobs else None,
    )


def whole(answer: Mapping[str, Any]) -> ChatCompletion:
    """Return the engine's answer as OpenAI would tell it."""
    choices = [
        {
            "index": choice["index"],
            "message": AnswerMessage(content=choice["text"]),
            "logprobs": _logprobs(choice),
            "finish_reason": choice["finish_reason"],
        }
        for choice in answer["choices"]
    ]
    return ChatCompletion.model_validate(_ENVELOPE.answer(answer, choices=choices))


def chunks(pieces: Iterator[dict[str, Any]], *, tells_usage: bool) -> Iterator[dict[str, Any]]:
    """Return the pieces of an answer as OpenAI's chunks: who speaks, what is said, why it ended, and what it took."""
    begun: set[int] = set()

    def told(piece: Mapping[str, Any]) -> Iterator[list[Any]]:
        for choice in piece["choices"]:
            if choice["index"] not in begun:
                begun.add(choice["index"])
                yield [_delta(choice, {"role": "assistant", "content": ""})]
            if choice["text"] or tokens_of(choice):
                yield [_said(choice)]
            if choice["finish_reason"]:
                yield [_delta(choice, {}) | {"finish_reason": choice["finish_reason"]}]

    return _ENVELOPE.chunks(pieces, told, tells_usage=tells_usage)


def _delta(choice: Mapping[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": choice["index"], "delta": delta, "logprobs": None, "finish_reason": None}


def _said(choice: Mapping[str, Any]) -> dict[str, Any]:
    logprobs = _logprobs(choice)
    return _delta(choice, {"content": choice["text"]}) | {"logprobs": logprobs and logprobs.model_dump()}


def _logprobs(choice: Mapping[str, Any]) -> ChatLogprobs | None:
    if choice.get("logprobs") is None:
        return None
    return ChatLogprobs(
        content=[
            TokenLogprob(
                token=each["token"],
                logprob=each["logprob"],
                bytes=bytes_of(each["token"]),
                top_logprobs=[
                    LikelyTokenLogprob(
                        token=likely["token"], logprob=likely["logprob"], bytes=bytes_of(likely["token"])
                    )
                    for likely in each["top"]
                ],
            )
            for each in tokens_of(choice)
        ]
    )

"""`/v1/completions`: OpenAI's plain prompt, and ours behind it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from api.openai.parameters import Nothing, Only
from api.openai.sampling import Envelope, SamplingRequest, UsageView, asked, tokens_of
from api.schemas.base import View
from api.schemas.generation import GenerationRequest

_ENVELOPE: Final = Envelope("text_completion", "text_completion", "cmpl")
_MAX_CHARS: Final = 500_000
_STRING: Final = {"type": "string", "maxLength": _MAX_CHARS}


def _only_one(prompt: Any) -> Any:
    """Return the prompt of a list with one; what is no list is judged as it is."""
    if not isinstance(prompt, list):
        return prompt
    if len(prompt) != 1 or not isinstance(prompt[0], str):
        raise ValueError("must be one text: several prompts, or tokens, are not read in one call")
    return prompt[0]


Prompt = Annotated[
    str,
    Field(max_length=_MAX_CHARS),
    BeforeValidator(_only_one),
    WithJsonSchema({"anyOf": [_STRING, {"type": "array", "items": _STRING, "minItems": 1, "maxItems": 1}]}),
]


class CompletionRequest(SamplingRequest):
    """Ask by a prompt, word for word."""

    prompt: Prompt
    max_tokens: int | None = Field(default=None, ge=1, le=8192)
    logprobs: int | None = Field(default=None, ge=0, le=20)
    best_of: Annotated[Any, Only(1)] = None
    echo: Annotated[Any, Only(False)] = None
    suffix: Nothing = None


class CompletionLogprobs(View):
    """Probabilities of an answer's tokens, a list each, of one length."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int] = Field(description="Where each token's text begins in the answer.")


class CompletionChoice(View):
    """One answer."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"] | None


class Completion(View):
    """An answer in one piece; `model` is the version that spoke."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str = Field(description="Id of the version that spoke.")
    choices: list[CompletionChoice]
    usage: UsageView


def request(body: CompletionRequest) -> GenerationRequest:
    """Return the service's own request.

    Raises:
        InvalidError: fields that exclude each other.
    """
    return asked(body, prompt=body.prompt, max_tokens=body.max_tokens, logprobs=body.logprobs)


def whole(answer: Mapping[str, Any]) -> Completion:
    """Return the engine's answer as OpenAI would tell it."""
    choices = [_choice(choice, offset=0) for choice in answer["choices"]]
    return Completion.model_validate(_ENVELOPE.answer(answer, choices=choices))


def chunks(pieces: Iterator[dict[str, Any]], *, tells_usage: bool) -> Iterator[dict[str, Any]]:
    """Return the pieces of an answer as OpenAI's chunks, and at the end what it took."""
    written: dict[int, int] = {}

    def told(piece: Mapping[str, Any]) -> Iterator[list[Any]]:
        for choice in piece["choices"]:
            offset = written.get(choice["index"], 0)
            written[choice["index"]] = offset + sum(len(each["token"]) for each in tokens_of(choice))
            yield [_choice(choice, offset=offset).model_dump()]

    return _ENVELOPE.chunks(pieces, told, tells_usage=tells_usage)


def _choice(choice: Mapping[str, Any], *, offset: int) -> CompletionChoice:
    return CompletionChoice(
        index=choice["index"],
        text=choice["text"],
        logprobs=_logprobs(choice, offset=offset),
        finish_reason=choice["finish_reason"],
    )


def _logprobs(choice: Mapping[str, Any], *, offset: int) -> CompletionLogprobs | None:
    if choice.get("logprobs") is None:
        return None
    tokens = tokens_of(choice)
    offsets = []
    for each in tokens:
        offsets.append(offset)
        offset += len(each["token"])
    return CompletionLogprobs(
        tokens=[each["token"] for each in tokens],
        token_logprobs=[each["logprob"] for each in tokens],
        top_logprobs=[{likely["token"]: likely["logprob"] for likely in each["top"]} for each in tokens],
        text_offset=offsets,
    )

"""What both calls for an answer have in common: how it is drawn, what is told beside it, and what it took."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from api import bodies
from api.openai.parameters import Flag, Label, NoEntries, NoPenalty
from api.schemas.base import Request, View
from api.schemas.generation import GenerationRequest
from core.domain.errors import InvalidError, Place

# Passed on as they are, under the same name.
_PASSED_ON: Final = (
    "model",
    "temperature",
    "top_p",
    "n",
    "seed",
    "stop",
    "top_k",
    "repetition_penalty",
    "choices",
    "stream",
)
_HALF_CHARACTER: Final = "\ufffd"
# How OpenAPI describes an answer that may also be a stream.
ALSO_A_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
}
_Choice = Annotated[str, Field(min_length=1, max_length=1024)]


class StreamOptions(Request):
    """What a stream tells beside the answer."""

    include_usage: bool | None = Field(default=None, description="One more chunk at the end, without choices.")
    include_obfuscation: Flag = None


class SamplingRequest(Request):
    """How an answer is drawn. What is left out takes this service's default, which is greedy."""

    model: str = Field(
        min_length=1, max_length=200, description="`name` (its `latest`), `name@3`, `name:alias` or a version's id."
    )
    temperature: float | None = Field(default=None, ge=0, le=2, description="Without it 0: the likeliest token.")
    top_p: float | None = Field(default=None, gt=0, le=1)
    n: int | None = Field(default=None, ge=1, le=16)
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1)
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    top_k: int | None = Field(default=None, ge=1, le=1_000_000, description="Not OpenAI's.")
    repetition_penalty: float | None = Field(default=None, ge=0.1, le=10, description="Not OpenAI's.")
    choices: Annotated[list[_Choice], Field(min_length=1, max_length=256)] | None = Field(
        default=None, description="Not OpenAI's: the answer is one of these, exactly."
    )
    frequency_penalty: NoPenalty = None
    presence_penalty: NoPenalty = None
    logit_bias: NoEntries = None
    user: Label = None

    @property
    def tells_usage(self) -> bool:
        """Whether a stream ends with what it took."""
        return bool(self.stream_options and self.stream_options.include_usage)


class UsageView(View):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


def asked(body: SamplingRequest, **own: Any) -> GenerationRequest:
    """Return the service's own request for one of OpenAI's.

    Args:
        body: the fields that both calls have.
        own: those that only this one has, by this service's names.

    Raises:
        InvalidError: ``stream_options`` without a stream; or the fields together are too much.
    """
    if body.stream_options is not None and not body.stream:
        raise refused("stream_options", "is only for a stream: give it with stream: true")
    passed = {name: getattr(body, name) for name in _PASSED_ON} | own
    return bodies.parse({name: value for name, value in passed.items() if value is not None}, GenerationRequest)


def refused(field: str, message: str) -> InvalidError:
    """Return the error that says what is wrong with one field."""
    return InvalidError(f"{field} {message}", places=[Place(loc=(field,), message=message)])


def usage(told: Mapping[str, Any] | None) -> UsageView:
    """Return what an answer took, with the sum that OpenAI's clients read."""
    read, written = int((told or {}).get("prompt_tokens", 0)), int((told or {}).get("completion_tokens", 0))
    return UsageView(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)


def bytes_of(token: str) -> list[int] | None:
    """Return a token's text in UTF-8; None where it is only a part of a character."""
    return None if _HALF_CHARACTER in token else list(token.encode())


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every part of an answer begins with.

    Attributes:
        whole: the `object` of an answer in one piece.
        chunk: that of one of its chunks.
        prefix: of ids.
    """

    whole: str
    chunk: str
    prefix: str

    def around(self, answer: Mapping[str, Any], *, choices: list[Any], kind: str) -> dict[str, Any]:
        """Return an answer, or a chunk of one; the fingerprint is the id of the version that spoke."""
        return {
            "id": f"{self.prefix}-{str(answer['id']).rpartition('_')[2]}",
            "object": kind,
            "created": answer["created"],
            "model": answer["model"],
            "system_fingerprint": answer["version_id"],
            "choices": choices,
        }

    def answer(self, answer: Mapping[str, Any], *, choices: list[Any]) -> dict[str, Any]:
        """Return an answer in one piece."""
        return self.around(answer, choices=choices, kind=self.whole) | {"usage": usage(answer.get("usage"))}

    def chunks(
        self,
        pieces: Iterator[dict[str, Any]],
        told: Callable[[Mapping[str, Any]], Iterator[list[Any]]],
        *,
        tells_usage: bool,
    ) -> Iterator[dict[str, Any]]:
        """Yield an answer's chunks.

        Args:
            pieces: as the engine tells them.
            told: gives the choices of each chunk that a piece is told in.
            tells_usage: whether one more chunk, without choices, says what it took.
        """
        unknown = {"usage": None} if tells_usage else {}
        last: dict[str, Any] = {}
        spent: Mapping[str, Any] | None = None
        for piece in pieces:
            last, spent = piece, piece.get("usage") or spent
            for choices in told(piece):
                yield self.around(piece, choices=choices, kind=self.chunk) | unknown
        if last and tells_usage:
            yield self.around(last, choices=[], kind=self.chunk) | {"usage": usage(spent).model_dump()}


def tokens_of(choice: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the tokens of a choice with their probabilities, as far as these were asked for."""
    told: Sequence[Mapping[str, Any]] = choice.get("logprobs") or ()
    return told

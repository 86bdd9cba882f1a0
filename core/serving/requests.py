"""What the engine is asked, and the pieces in which it answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.domain.errors import StrataError

FinishReason = Literal["stop", "length"]

DEFAULT_MAX_TOKENS: Final = 128
MAX_SEED: Final = 2**63 - 1
MAX_ANSWERS: Final = 16
MAX_CHOICES: Final = 256
MAX_TOP_LOGPROBS: Final = 20
StopString = Annotated[str, Field(min_length=1, max_length=256)]
Choice = Annotated[str, Field(min_length=1, max_length=1024)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


class Message(_Strict):
    """One message of a conversation."""

    role: Annotated[str, Field(min_length=1, max_length=64)]
    content: str


class CompletionRequest(_Strict):
    """One request. A field that is null takes its default.

    Attributes:
        model: ``<model id>:<alias>`` or a version's id.
        temperature: 0 takes the likeliest token each time; anything else samples.
        top_p: sample from the smallest set of tokens with at least this probability.
        top_k: sample from this many likeliest tokens.
        repetition_penalty: above 1 makes tokens of the prompt and of the answer so far less likely (`Sampler`).
        seed: makes a sampled answer reproducible; answer ``i`` of ``n`` takes ``seed + i``.
        stop: texts that end the answer; they are not part of it.
        n: how many answers; they differ where they are sampled.
        logprobs: tell the natural logarithm of each token's probability, and of so many likeliest ones beside it:
            the model's own, before temperature, penalty and choices.
        choices: the answer is one of these, exactly. It is written to its end, whatever ``max_tokens`` says.
        timeout_seconds: an answer that is not complete by then fails.
    """

    model: Annotated[str, Field(min_length=1, max_length=256)]
    prompt: str | None = None
    messages: Annotated[list[Message], Field(min_length=1)] | None = None
    max_tokens: int = Field(default=DEFAULT_MAX_TOKENS, ge=1, le=8192)
    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=1)
    repetition_penalty: float = Field(default=1.0, ge=0.1, le=10)
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    stop: Annotated[list[StopString], Field(max_length=4)] = []
    n: int = Field(default=1, ge=1, le=MAX_ANSWERS)
    logprobs: int | None = Field(default=None, ge=0, le=MAX_TOP_LOGPROBS)
    choices: Annotated[list[Choice], Field(min_length=1, max_length=MAX_CHOICES)] | None = None
    timeout_seconds: float | None = Field(default=None, gt=0, le=3600)
    stream: bool = False

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: object) -> object:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data

    @field_validator("stop", mode="before")
    @classmethod
    def _list_of_stops(cls, stop: object) -> object:
        return [stop] if isinstance(stop, str) else stop

    @model_validator(mode="after")
    def _one_input(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("exactly one of prompt and messages is needed")
        return self

    @model_validator(mode="after")
    def _choices_alone(self) -> Self:
        if self.choices is not None and len(set(self.choices)) < len(self.choices):
            raise ValueError("choices must differ")
        if self.choices is not None and self.stop:
            raise ValueError("choices and stop exclude each other")
        return self


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and tokens written, the end token not counted."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class LikelyToken:
    """A token in its place: its own text, and the natural logarithm of its probability."""

    token_id: int
    token: str
    logprob: float


@dataclass(frozen=True, slots=True)
class WrittenToken:
    """A token of an answer, and the likeliest ones in its place, likeliest first."""

    written: LikelyToken
    top: tuple[LikelyToken, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer: of the one with this index, where several were asked for.

    The last piece of each answer has a finish reason; the last of all has the usage, or else an error.
    """

    text: str = ""
    index: int = 0
    finish_reason: FinishReason | None = None
    logprobs: tuple[WrittenToken, ...] = ()
    usage: Usage | None = None
    error: StrataError | None = None

    @property
    def is_last(self) -> bool:
        """Say whether nothing follows."""
        return self.usage is not None or self.error is not None


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that was handed in: where its pieces go, and whether anybody still wants them.

    ``listener`` is called on the decoding thread and must not block.
    """

    listener: Callable[[Piece], None]
    unfinished: int = 1
    completion_tokens: int = 0
    cancelled: bool = field(default=False)

    def cancel(self) -> None:
        """Stop decoding for this request at the next step."""
        self.cancelled = True

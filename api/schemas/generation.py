"""Generation: what is asked of a version, and its answer."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.base import Request, View

_Text = Annotated[str, Field(max_length=500_000)]


class MessageRequest(Request):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: _Text


_Choice = Annotated[str, Field(min_length=1, max_length=1024)]
_Messages = Annotated[list[MessageRequest], Field(min_length=1, max_length=1_000)]


class GenerationRequest(Request):
    """Ask by exactly one of `prompt`, `messages`, and `task` with `input`."""

    model: str = Field(
        min_length=1, max_length=200, description="`name` (its `latest`), `name@3`, `name:alias` or a version's id."
    )
    prompt: _Text | None = None
    messages: _Messages | None = None
    task: str | None = Field(default=None, max_length=200, description="Name of a task of the model.")
    input: dict[str, _Text | _Messages] | None = Field(
        default=None,
        max_length=16,
        description='Rendered by the task\'s template: `{"text": ...}`, `{"prompt": ...}` or `{"messages": [...]}`.',
    )
    max_tokens: int | None = Field(default=None, ge=1, le=8192)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=1, le=1_000_000)
    repetition_penalty: float | None = Field(
        default=None,
        ge=0.1,
        le=10,
        description="Above 1 makes tokens of the prompt and of the answer so far less likely; 1 changes nothing.",
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        le=2**63 - 1,
        description="The same seed and prompt give the same answer. Answer `i` of `n` takes `seed + i`.",
    )
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    n: int | None = Field(default=None, ge=1, le=16, description="How many answers.")
    logprobs: int | None = Field(
        default=None,
        ge=0,
        le=20,
        description="Tell each token's log probability, and so many of the likeliest ones in its place: the model's "
        "own, before temperature, penalty and choices.",
    )
    choices: Annotated[list[_Choice], Field(min_length=1, max_length=256)] | None = Field(
        default=None,
        description="The answer is one of these, exactly, written to its end whatever `max_tokens` says. Not with "
        "`stop`.",
    )
    timeout_seconds: float | None = Field(
        default=None, gt=0, le=3600, description="An answer that is not complete by then fails: `deadline_exceeded`."
    )
    stream: bool = False


class LikelyTokenView(View):
    """A token in its place: its text, its id, and the natural logarithm of its probability."""

    token: str
    token_id: int | None = Field(description="Null where an OpenAI-compatible server answered: these do not tell ids.")
    logprob: float


class TokenView(LikelyTokenView):
    """A token that was written, and the likeliest ones in its place, likeliest first."""

    top: list[LikelyTokenView]


class ChoiceView(View):
    """One answer."""

    index: int
    text: str
    finish_reason: str | None
    logprobs: list[TokenView] | None = None


class GenerationView(View):
    """An answer, and who gave it."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str = Field(description="The version that spoke, as `name@number`.")
    version: str
    version_id: str
    choices: list[ChoiceView]
    usage: dict[str, Any] | None = None

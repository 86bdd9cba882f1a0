"""Generation: what is asked of a version, and its answer."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.base import Request, View

_Text = Annotated[str, Field(max_length=500_000)]


class MessageRequest(Request):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: _Text


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
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1)
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    stream: bool = False


class ChoiceView(View):
    """One answer."""

    index: int
    text: str
    finish_reason: str | None


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

"""The one body of every error (RFC 9457), with the member that OpenAI clients read."""

from pydantic import BaseModel, ConfigDict, Field


class ProblemPlace(BaseModel):
    """One fault and where it lies."""

    model_config = ConfigDict(frozen=True)

    loc: list[str | int] = Field(description="Path of keys from the request's root.")
    line: int | None = Field(default=None, description="1-based line of the uploaded file.")
    message: str
    hint: str | None = None


class OpenAIError(BaseModel):
    """The same error in OpenAI's words."""

    model_config = ConfigDict(frozen=True)

    message: str
    type: str
    code: str
    param: str | None = None


class Problem(BaseModel):
    """What went wrong; `code` is from the closed list of docs/reference/errors.md."""

    model_config = ConfigDict(frozen=True)

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    code: str
    errors: list[ProblemPlace] = []
    error: OpenAIError

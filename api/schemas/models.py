"""Base models and models."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.base import Request, View
from core.domain.identifiers import SLUG_PATTERN
from core.domain.policies import GatePolicy, ModelPolicy
from core.learning.recipe import TaskSpec

# The services judge names; the pattern is told to readers of the schema only.
Slug = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra={"pattern": SLUG_PATTERN})]


class BaseModelRequest(Request):
    """Allow a base model: for the operator."""

    name: Slug
    source: str = Field(
        min_length=1,
        max_length=1_000,
        description="`wheel:<distribution>`, `folder:<absolute path>` or `hub:<org>/<name>@<revision>`.",
    )


class BaseModelView(View):
    """A frozen pretrained network that the operator allows."""

    id: str
    object: Literal["base_model"] = "base_model"
    name: str
    source: str
    state: str
    digest: str | None
    facts: dict[str, Any] | None
    error: str | None
    created_at: str


class ModelRequest(Request):
    """Create a model."""

    name: Slug
    base_model: str = Field(min_length=1, max_length=200, description="Name of a base model that is ready.")
    method: str | TaskSpec | None = Field(
        default=None,
        description="Name of a method of GET /v1/methods, or defaults of every task's spec.",
    )
    policy: ModelPolicy = ModelPolicy()


class PolicyChanges(Request):
    """Change what a model's versions must show."""

    gate: GatePolicy = Field(description="What is left out stays as it is.")


class ModelChanges(Request):
    """Change a model."""

    policy: PolicyChanges


class ModelView(View):
    """A named, continually updated model. The first four fields are OpenAI's."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="Seconds since the epoch.")
    owned_by: str
    name: str
    base_model: str
    method: dict[str, Any]
    policy: ModelPolicy
    aliases: dict[str, str] = Field(description="What each alias names, e.g. `latest` to `support@2`.")
    created_at: str


class ModelVersionView(View):
    """A version of a model, as OpenAI's clients read a model; `GET /v1/versions/{version}` tells more of the same."""

    id: str = Field(description="`name@3`.")
    object: Literal["model"] = "model"
    created: int = Field(description="Seconds since the epoch.")
    owned_by: str
    version_id: str
    model_id: str


class DeletedView(View):
    """What was deleted."""

    id: str
    object: str
    deleted: Literal[True] = True

"""Keys and projects."""

from typing import Annotated, Literal

from pydantic import Field

from api.schemas.base import Request, View
from api.schemas.models import Slug
from core.domain.access import Scope

_TEN_YEARS_SECONDS = 10 * 366 * 24 * 3600
_MAX_COUNT = 2**31 - 1
_MAX_BYTES = 2**53
_Count = Annotated[int, Field(ge=0, le=_MAX_COUNT)]


class KeyRequest(Request):
    """Make a key of the caller's project."""

    name: Slug
    scopes: list[Scope] = Field(
        min_length=1, max_length=len(Scope), description="What it opens; `admin` opens everything."
    )
    expires_in_seconds: int | None = Field(
        default=None, ge=1, le=_TEN_YEARS_SECONDS, description="After so long it opens nothing; null for never."
    )


class KeyView(View):
    """What is known of a key; the key itself is with its holder only."""

    id: str
    object: Literal["key"] = "key"
    project_id: str
    name: str
    hint: str = Field(description="The key's first characters.")
    scopes: list[Scope]
    created_at: str
    expires_at: str | None
    last_used_at: str | None = Field(description="To within five minutes.")


class NewKeyView(KeyView):
    """A key that was just made: the only answer that ever shows it."""

    key: str


class ProjectRequest(Request):
    """Change a project's quotas; what is left out stays, null lifts a limit."""

    max_open_jobs: _Count | None = None
    max_bytes: Annotated[int, Field(ge=0, le=_MAX_BYTES)] | None = Field(
        default=None, description="Of its datasets and exports."
    )
    max_requests_per_minute: _Count | None = Field(
        default=None, description="Counted in each API process, for calls with a key."
    )
    max_generations: _Count | None = Field(
        default=None,
        description="Answers under way at once, counted in each API process, for calls with a key; null for the "
        "service's own limit, `project_max_generations`.",
    )


class ProjectView(View):
    """A tenant: its quotas, where it has any, and what it uses of them."""

    id: str
    object: Literal["project"] = "project"
    name: str
    max_open_jobs: int | None
    max_bytes: int | None
    max_requests_per_minute: int | None
    max_generations: int | None
    open_jobs: int
    bytes: int
    created_at: str

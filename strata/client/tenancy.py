"""What the service answers of a project: its keys, its quotas, and who changed what."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, Field

from strata.client.result import Result


class ApiKey(Result):
    """What is known of a key: ``hint`` are its first characters."""

    id: str
    name: str
    hint: str
    scopes: Sequence[str]
    project_id: str | None = None
    created_at: str | None = None
    expires_at: str | None = None
    last_used_at: str | None = None


class NewApiKey(ApiKey):
    """A key that was just made; ``key`` is shown this once."""

    key: str = Field(repr=False)


class Project(Result):
    """A tenant: its quotas, None where there is no limit, and what it uses of them."""

    id: str
    name: str
    max_open_jobs: int | None = None
    max_bytes: int | None = None
    max_requests_per_minute: int | None = None
    max_generations: int | None = None
    open_jobs: int = 0
    bytes: int = 0


class Change(Result):
    """One change in a project: who made it, when, to what, and from where to where it went."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: str
    at: str
    actor: str
    subject_id: str
    kind: str
    before: str | None = Field(default=None, alias="from")
    to: str | None = None
    data: Mapping[str, Any] = Field(default_factory=dict)

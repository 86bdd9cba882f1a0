"""The project's list of changes."""

from typing import Any, Literal

from pydantic import Field

from api.schemas.base import View


class ChangeView(View):
    """One change: who made it, when, to what, and from where to where it went."""

    id: str
    object: Literal["event"] = "event"
    at: str
    actor: str = Field(
        description="Id of the key that made it; or `user` where no keys are asked for, `operator`, `engine`, `sweep`, "
        "or the worker that held the job."
    )
    subject_id: str = Field(description="Id of what was changed: a model, version, dataset, job, key or project.")
    kind: str = Field(description="`state`, `created`, `deleted`, `revoked`, `alias_moved`, ...")
    from_: str | None = Field(alias="from", description="The state before, or the version that an alias named.")
    to: str | None = Field(description="The state after, or the version that the alias names now.")
    data: dict[str, Any]

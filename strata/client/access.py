"""The calls on who may come in and how much they may use: keys, and the key's own project."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from strata.client.tenancy import ApiKey, NewApiKey, Project
from strata.client.transport import Transport


class Keys:
    """`/v1/keys`: for keys with the scope `admin`."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def create(self, name: str, *, scopes: Sequence[str], expires_in_seconds: int | None = None) -> NewApiKey:
        """Make a key of the caller's project; ``key`` of the result is shown this once.

        ``scopes`` are of read, train, generate and admin.
        """
        body: dict[str, Any] = {"name": name, "scopes": [*scopes], "expires_in_seconds": expires_in_seconds}
        return self._http.one(NewApiKey, "POST", "/v1/keys", json=body)

    def list(self, *, limit: int | None = None) -> Iterator[ApiKey]:
        """Yield all but the revoked ones."""
        return self._http.pages(ApiKey, "/v1/keys", {}, limit=limit)

    def revoke(self, key_id: str) -> None:
        """End a key: from now on it opens nothing."""
        self._http.call("DELETE", f"/v1/keys/{quote(key_id, safe='')}")


class Projects:
    """`/v1/projects/own`: the caller's project."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def own(self) -> Project:
        """Return it, with its quotas and what it uses of them."""
        return self._http.one(Project, "GET", "/v1/projects/own")

    def set_quotas(self, **quotas: int | None) -> Project:
        """Change ``max_open_jobs``, ``max_bytes``, ``max_requests_per_minute`` or ``max_generations``; None lifts one."""
        return self._http.one(Project, "PATCH", "/v1/projects/own", json=quotas)

"""The calls on aliases: which version answers under which name, and why."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from strata.client.results import Alias, AliasMove
from strata.client.transport import Transport


class Aliases:
    """`/v1/models/{model}/aliases` and the model's rollback."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def list(self, model: str) -> tuple[Alias, ...]:
        """Return a model's aliases by name."""
        body = self._http.call("GET", f"{_of(model)}/aliases")
        return tuple(self._http.parsed(Alias, row) for row in body["data"])

    def history(self, model: str, alias: str) -> tuple[AliasMove, ...]:
        """Return an alias's moves, oldest first."""
        body = self._http.call("GET", f"{_of(model)}/aliases/{quote(alias, safe='')}/history")
        return tuple(self._http.parsed(AliasMove, row) for row in body["data"])

    def promote(
        self, model: str, alias: str, version: str, *, reason: str = "", expected_version: str | None = None
    ) -> Alias:
        """Let an alias name another ready version; an unknown alias is made.

        Args:
            model: its name or id.
            alias: e.g. ``stable``.
            version: a number, ``name@3``, ``name:alias`` or a version's id.
            reason: kept in the alias's history.
            expected_version: id of the version that the alias must name now.

        Raises:
            ConflictError: the version is not ready, or the alias names another version than expected.
        """
        body = _given({"version": version, "reason": reason, "expected_version": expected_version})
        return self._http.one(Alias, "PUT", f"{_of(model)}/aliases/{quote(alias, safe='')}", json=body)

    def rollback(
        self, model: str, version: str | None = None, *, reason: str = "", expected_version: str | None = None
    ) -> Alias:
        """Let `latest` name an earlier version, by default the parent of what it names now."""
        body = _given({"version": version, "reason": reason, "expected_version": expected_version})
        return self._http.one(Alias, "POST", f"{_of(model)}/rollback", json=body)

    def delete(self, model: str, alias: str) -> None:
        """Remove an alias; `latest` stays."""
        self._http.call("DELETE", f"{_of(model)}/aliases/{quote(alias, safe='')}")


def _of(model: str) -> str:
    return f"/v1/models/{quote(model, safe='')}"


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}

"""Calls to the API, every one of them in the history with what became of it."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import httpx

from tests.chaos.journal import Journal, Outcome

# Refused for now, or unknown: the same request may be sent again.
AGAIN = {"request_in_flight", "registry_unavailable"}
NO_ROOM = 507


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``status`` 0 if nothing did."""

    outcome: Outcome
    status: int = 0
    body: dict[str, Any] | None = None

    @property
    def code(self) -> str:
        return str((self.body or {}).get("code", ""))


class Caller:
    """One client of the service."""

    def __init__(self, url: str, journal: Journal, *, timeout_seconds: float = 6) -> None:
        self.http = httpx.Client(base_url=url, timeout=timeout_seconds)
        self.journal = journal

    def call(self, what: str, method: str, path: str, *, asked: dict[str, Any], **request: Any) -> Answer:
        """Send a request; note what was asked and what was answered."""
        number = self.journal.invoke(what, **asked)
        try:
            response = self.http.request(method, path, **request)
            answer = _read(response)
        except (httpx.TransportError, json.JSONDecodeError) as error:
            self.journal.complete(number, "info", error=type(error).__name__)
            return Answer("info")
        body = answer.body or {}
        told = {name: body[name] for name in ("id", "code", "state", "version_id", "version") if name in body}
        digest = hashlib.sha256(response.content).hexdigest()
        replayed = "idempotency-replayed" in response.headers
        self.journal.complete(number, answer.outcome, status=answer.status, sha256=digest, replayed=replayed, **told)
        return answer

    def get(self, path: str, **query: Any) -> dict[str, Any] | None:
        """Read something that the history does not need; None if that did not work."""
        try:
            response = self.http.get(path, params=query)
            found: dict[str, Any] = response.json()
        except (httpx.TransportError, json.JSONDecodeError):
            return None
        return found if response.is_success else None

    def close(self) -> None:
        self.http.close()


def _read(response: httpx.Response) -> Answer:
    body = response.json()
    if response.is_success:
        return Answer("ok", response.status_code, body)
    # What was refused was not done. Of any other failure nobody knows.
    refused = response.status_code < httpx.codes.INTERNAL_SERVER_ERROR or response.status_code == NO_ROOM
    outcome: Outcome = "fail" if refused and body.get("code") not in AGAIN else "info"
    return Answer(outcome, response.status_code, body)

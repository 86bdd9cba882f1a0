"""The calls on who changed what."""

from collections.abc import Iterator

from strata.client.tenancy import Change
from strata.client.transport import Transport


class Events:
    """`/v1/events`: for keys with the scope `admin`."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def list(
        self, *, subject: str | None = None, actor: str | None = None, limit: int | None = None
    ) -> Iterator[Change]:
        """Yield the project's changes, newest first.

        Args:
            subject: only those of the thing of this id.
            actor: only those by this key's id, or by `user`, `operator`, `engine` or `sweep`.
            limit: at most so many.
        """
        return self._http.pages(Change, "/v1/events", {"subject": subject, "actor": actor}, limit=limit)

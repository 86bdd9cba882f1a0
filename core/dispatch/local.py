"""Dispatch without a broker: workers poll the registry, so nobody needs waking."""


class LocalDispatcher:
    """The `core.domain.ports.Dispatcher` of an embedded installation; a queued job is found at the next poll."""

    def wake(self, job_id: str) -> None:
        """Leave it to the poll."""

"""The calls on jobs: look, wait, follow, stop."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from strata.client.errors import (
    JobFailedError,
    ServiceUnavailableError,
    ServiceUnreachableError,
    UnexpectedAnswerError,
    WaitTimeoutError,
)
from strata.client.results import TERMINAL_STATES, Event, Job, Metrics
from strata.client.sse import decode
from strata.client.transport import Transport

# A service that restarts is away for seconds; a job outlives that, so those who wait for it do too.
PATIENCE_SECONDS: Final = 60.0
RECONNECT_SECONDS: Final = 0.5
AWAY: Final = (ServiceUnreachableError, ServiceUnavailableError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often to look, how long to wait in all, and how long a service may be away meanwhile."""

    poll_seconds: float = 0.5
    timeout_seconds: float | None = None
    away_seconds: float = PATIENCE_SECONDS


STANDARD: Final = Patience()


class Jobs:
    """`/v1/jobs`."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def get(self, job_id: str) -> Job:
        """Return one as it stands."""
        return self._http.one(Job, "GET", f"/v1/jobs/{job_id}")

    def list(self, *, model: str | None = None, state: str | None = None, limit: int | None = None) -> Iterator[Job]:
        """Yield jobs, by default all."""
        return self._http.pages(Job, "/v1/jobs", {"model": model, "state": state}, limit=limit)

    def cancel(self, job_id: str) -> Job:
        """Ask for a job's end; a running one confirms a moment later."""
        return self._http.one(Job, "POST", f"/v1/jobs/{job_id}/cancel")

    def pause(self, job_id: str) -> Job:
        """Stop a job so that it can go on later; a running one writes its checkpoint first."""
        return self._http.one(Job, "POST", f"/v1/jobs/{job_id}/pause")

    def resume(self, job_id: str) -> Job:
        """Let a paused job go on from its checkpoint, first of its model."""
        return self._http.one(Job, "POST", f"/v1/jobs/{job_id}/resume")

    def retry(self, job_id: str) -> Job:
        """Queue the same task again as a new job."""
        return self._http.one(Job, "POST", f"/v1/jobs/{job_id}/retry")

    def metrics(self, job_id: str, *, series: tuple[str, ...] = ("loss", "sparsity"), max_points: int = 500) -> Metrics:
        """Return curves, thinned to ``max_points`` each."""
        query: dict[str, Any] = {"series": ",".join(series), "max_points": max_points}
        return self._http.one(Metrics, "GET", f"/v1/jobs/{job_id}/metrics", params=query)

    def logs(self, job_id: str) -> dict[str, Any]:
        """Return the tail of the job's log."""
        body: dict[str, Any] = self._http.call("GET", f"/v1/jobs/{job_id}/logs")
        return body

    def wait(self, job_id: str, *, on_look: Callable[[Job], None] | None = None, patience: Patience = STANDARD) -> Job:
        """Return the job once it has succeeded, looking again and again; ``on_look`` sees each look.

        Raises:
            JobFailedError: it ended otherwise; ``code`` is the job's error code.
            WaitTimeoutError: the time is over.
            ServiceUnreachableError: the service was away for longer than ``patience.away_seconds``.
        """
        for job in self._looks(job_id, patience):
            if on_look is not None:
                on_look(job)
            if job.state == "succeeded":
                return job
            if job.is_over:
                raise _failure(job)
        raise WaitTimeoutError(f"job {job_id} is not over after {patience.timeout_seconds:.0f} seconds")

    def events(self, job_id: str, *, after: int = 0, patience: Patience = STANDARD) -> Iterator[Event]:
        """Yield the job's events from number ``after + 1`` on, as they come, until the job is over.

        A broken connection is taken up again after the last event seen; none is lost or given twice.
        """
        last, absence = after, Absence(patience.away_seconds)
        while True:
            try:
                for event in self._stream(job_id, last):
                    last = event.n
                    absence.end()
                    yield event
                    if event.to_state in TERMINAL_STATES:
                        return
                if self.get(job_id).is_over and not self._has_more(job_id, last):
                    return
                absence.end()
            except AWAY as error:
                absence.bear(error)
            time.sleep(RECONNECT_SECONDS)

    def _looks(self, job_id: str, patience: Patience) -> Iterator[Job]:
        start, absence = time.monotonic(), Absence(patience.away_seconds)
        while patience.timeout_seconds is None or time.monotonic() - start <= patience.timeout_seconds:
            try:
                job = self.get(job_id)
            except AWAY as error:
                absence.bear(error)
            else:
                absence.end()
                yield job
            time.sleep(patience.poll_seconds)

    def _stream(self, job_id: str, after: int) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        with self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as chunks:
            for event in decode(chunks):
                try:
                    yield Event.model_validate_json(event.data)
                except ValueError as error:
                    raise UnexpectedAnswerError(f"an event of job {job_id} cannot be read") from error

    def _has_more(self, job_id: str, after: int) -> bool:
        return bool(self._http.call("GET", f"/v1/jobs/{job_id}/events", params={"after": after})["data"])


class Absence:
    """How long the service has been away, borne up to a limit."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._since: float | None = None

    def bear(self, error: Exception) -> None:
        """Note that the service is away; raises ``error`` when it has been for too long."""
        self._since = time.monotonic() if self._since is None else self._since
        if time.monotonic() - self._since > self._limit_seconds:
            raise error

    def end(self) -> None:
        """Note that the service is there."""
        self._since = None


def _failure(job: Job) -> JobFailedError:
    fault = job.error
    why = f": {fault.detail or fault.code}" if fault else ""
    return JobFailedError(f"job {job.id} is {job.state}{why}", code=fault.code if fault else None)

"""What can go wrong between a caller and the service, each with a code, the places and what to do next.

StrataAPIError
├── ServiceUnreachableError   nothing answered at the address
├── UnexpectedAnswerError     something answered, but not this service, or with a fault of its own (5xx)
├── InvalidRequestError       what was asked cannot be: carries the places          400 413 415 422
├── AuthenticationError       no key, a wrong key, or one without the scope         401 403
├── NotFoundError             no such thing                                         404
├── ConflictError             the thing is in the wrong state for it                409 412
├── NotReadyError             it will be possible later                             425
├── RateLimitedError          too much at once                                      429
├── ServiceUnavailableError   a part of the service is away                         502 503 504
├── DamagedDownloadError      a file arrived, and is not the one that was sent
├── JobFailedError            a job that was waited for ended without a version
└── WaitTimeoutError          a job that was waited for is not at its end yet

Statuses and codes are the service's; the class says what kind of thing to do about it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

NEXT_BY_CODE: Final[Mapping[str, str]] = {
    "model_not_found": "list the models with `strata models list`, or create one with `strata models create`",
    "unknown_base_model": "list the base models with `strata base-models list`",
    "missing_scope": "ask for a key with that scope: `strata keys create NAME --scope SCOPE` with an admin key makes one",
    "too_many_open_jobs": "wait until a job is over, or cancel one with `strata jobs cancel`",
    "too_many_generations": "wait until an answer is over; streams count until their last piece",
    "too_many_bytes": "delete datasets that no task uses, or ask the operator for more",
    "name_taken": "choose another name",
    "out_of_memory": "lower training.batch_size and raise training.gradient_accumulation by the same factor",
    "loss_diverged": "lower training.learning_rate and post the task again",
    "gate_rejected": "look at the rows that the detail names; or change the limit with `strata models gate MODEL` "
    "(its --help lists them), then `strata jobs retry JOB`",
    "unsupported_export": "choose another --format; merged can be written of every version",
    "parity_failed": "choose another --format, and tell the operator: the job's log says more",
    "export_not_ready": "wait until its job has succeeded",
    "disk_full": "free space under the data folder, then retry the job",
}


@dataclass(frozen=True, slots=True)
class Place:
    """One fault and where it lies.

    Attributes:
        loc: path of keys from the request's root, e.g. ``("spec", "adapter", "rank")``.
        line: 1-based line of the uploaded file, where there is one.
    """

    loc: tuple[str | int, ...]
    message: str
    line: int | None = None
    hint: str | None = None

    def __str__(self) -> str:
        parts = [f"line {self.line}" if self.line is not None else "", ".".join(str(key) for key in self.loc)]
        where = ", ".join(part for part in parts if part)
        told = f"{where}: {self.message}" if where else self.message
        return f"{told} ({self.hint})" if self.hint else told


class StrataAPIError(Exception):
    """Root of the tree.

    Attributes:
        code: from the closed list of docs/reference/errors.md, or the client's own `unreachable` and the like.
        status: HTTP status; None where there was no answer.
        next_step: what to do about it, in one line; None where nothing more can be said.
    """

    fallback_code: ClassVar[str] = "error"
    fallback_next: ClassVar[str | None] = None

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        status: int | None = None,
        places: Sequence[Place] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.fallback_code
        self.status = status
        self.places = tuple(places)
        self.request_id = request_id

    @property
    def next_step(self) -> str | None:
        """What to do about it, in one line."""
        return NEXT_BY_CODE.get(self.code, self.fallback_next)

    def __str__(self) -> str:
        return "; ".join([self.detail, *map(str, self.places)])


class ServiceUnreachableError(StrataAPIError):
    """Nothing answered."""

    fallback_code = "unreachable"
    fallback_next = "start the service with `strata up`, or give its address with --url or STRATA_URL"


class UnexpectedAnswerError(StrataAPIError):
    """The answer is not one of this service's, or says that the service itself is at fault."""

    fallback_code = "unexpected_answer"
    fallback_next = "check that the address is a Strata service, and look at the service's log"


class InvalidRequestError(StrataAPIError):
    """The request cannot be accepted as it is."""

    fallback_code = "invalid_request"


class AuthenticationError(StrataAPIError):
    """The key is missing, unknown or lacks the scope."""

    fallback_code = "unauthorized"
    fallback_next = "give a key that may do this with --api-key or STRATA_API_KEY"


class NotFoundError(StrataAPIError):
    """There is no such thing in the key's project."""

    fallback_code = "not_found"


class ConflictError(StrataAPIError):
    """The thing exists, in a state that does not allow the call."""

    fallback_code = "conflict"


class NotReadyError(StrataAPIError):
    """Something that is under way must finish first."""

    fallback_code = "not_ready"
    fallback_next = "wait a moment and try again"


class RateLimitedError(StrataAPIError):
    """Too many requests or too much queued."""

    fallback_code = "rate_limited"
    fallback_next = "wait a moment and try again"


class ServiceUnavailableError(StrataAPIError):
    """A part of the service is away; the same call may succeed later."""

    fallback_code = "unavailable"
    fallback_next = "wait a moment and try again; if it lasts, look at the service's log"


class DamagedDownloadError(StrataAPIError):
    """A file that arrived does not have the hash that the service tells."""

    fallback_code = "damaged_download"
    fallback_next = "try again; if it lasts, delete the export and ask for it anew"


class JobFailedError(StrataAPIError):
    """A job ended as failed, cancelled or rejected."""

    fallback_code = "job_failed"
    fallback_next = "look at the job's log with `strata jobs logs`"


class WaitTimeoutError(StrataAPIError):
    """The time to wait is over; the job goes on."""

    fallback_code = "wait_timeout"
    fallback_next = "go on watching with `strata jobs watch`"


BY_STATUS: Final[Mapping[int, type[StrataAPIError]]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    409: ConflictError,
    412: ConflictError,
    425: NotReadyError,
    429: RateLimitedError,
    502: ServiceUnavailableError,
    503: ServiceUnavailableError,
    504: ServiceUnavailableError,
}


def from_problem(status: int, problem: Any, *, address: str) -> StrataAPIError:
    """Return the error that a response with ``status`` and this JSON body (or anything else) stands for."""
    if not isinstance(problem, dict) or "code" not in problem:
        return UnexpectedAnswerError(f"{address} answered {status} without saying why", status=status)
    kind = BY_STATUS.get(status, InvalidRequestError if status < 500 else UnexpectedAnswerError)  # noqa: PLR2004 - HTTP
    return kind(
        str(problem.get("detail") or problem.get("title") or f"status {status}"),
        code=str(problem["code"]),
        status=status,
        places=[_place(entry) for entry in problem.get("errors") or [] if isinstance(entry, dict)],
        request_id=problem.get("request_id"),
    )


def _place(entry: Mapping[str, Any]) -> Place:
    loc = entry.get("loc") or ()
    return Place(
        loc=(loc,) if isinstance(loc, str) else tuple(loc),
        message=str(entry.get("message") or "not acceptable"),
        line=entry.get("line"),
        hint=entry.get("hint"),
    )

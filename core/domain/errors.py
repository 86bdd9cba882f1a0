"""The errors of the domain, each with its code from a closed list.

    StrataError
    ├── InvalidError            what was asked cannot be: carries the places
    │   ├── MalformedError      it could not even be read
    │   └── TooLargeError       it is over a limit
    ├── UnauthenticatedError    no key, or not one that opens anything
    ├── ForbiddenError          the key does not open this
    ├── QuotaError              the project has had its share for now
    ├── MissingError            there is no such thing, or not for this project
    ├── ConflictError           the thing is in the wrong state for it
    │   └── IllegalMoveError    a state change outside the table
    ├── PreconditionError       the thing is no longer what the caller saw
    ├── NotReadyError           it will be possible later, unasked
    ├── UnavailableError        nothing to serve or store away right now
    ├── NoRoomError             the disk, or the device, has too little left
    ├── LostLeaseError          another worker holds this job now: stop, write nothing
    └── CorruptError            bytes do not match their hash, shape or digest

HTTP statuses are given to these in one table at the API's edge; nothing here knows HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """One fault and where it lies.

    Attributes:
        loc: path of keys from the request's root, e.g. ``("spec", "adapter", "rank")``.
        message: what is wrong; never echoes the input.
        line: 1-based line of an uploaded file, where there is one.
        hint: what to do about it, where that can be said.
    """

    loc: tuple[str | int, ...]
    message: str
    line: int | None = None
    hint: str | None = None


class StrataError(Exception):
    """Root of the tree. ``code`` is from the closed, documented list (docs/reference/errors.md)."""

    default_code = "internal_error"

    def __init__(self, detail: str, *, code: str | None = None, places: Sequence[Place] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.places = tuple(places)


class InvalidError(StrataError):
    """The content is well-formed, but cannot be accepted."""

    default_code = "invalid_request"


class MalformedError(InvalidError):
    """The content could not be read at all."""

    default_code = "malformed_request"


class TooLargeError(InvalidError):
    """The content is over a stated limit."""

    default_code = "too_large"


class UnauthenticatedError(StrataError):
    """The caller showed no key, or one that is unknown, expired or revoked: which of these is not told."""

    default_code = "unauthorized"


class ForbiddenError(StrataError):
    """The caller's key lacks the scope."""

    default_code = "missing_scope"


class QuotaError(StrataError):
    """The project has had its share; ``retry_after_seconds`` says when asking again may make sense."""

    default_code = "rate_limited"

    def __init__(
        self, detail: str, *, code: str | None = None, places: Sequence[Place] = (), retry_after_seconds: int = 60
    ) -> None:
        super().__init__(detail, code=code, places=places)
        self.retry_after_seconds = retry_after_seconds


class MissingError(StrataError):
    """No such thing in this project; another project's things look the same."""

    default_code = "not_found"


class ConflictError(StrataError):
    """The thing exists, in a state that does not allow the call."""

    default_code = "conflict"


class IllegalMoveError(ConflictError):
    """A state change that the table of legal moves does not hold."""

    default_code = "wrong_state"

    def __init__(self, *, subject: str, state: str, to: str) -> None:
        super().__init__(f"a {subject} that is {state} cannot become {to}")


class PreconditionError(StrataError):
    """The thing changed since the caller looked at it."""

    default_code = "precondition_failed"


class NotReadyError(StrataError):
    """Not yet: something that is under way must finish first."""

    default_code = "not_ready"


class UnavailableError(StrataError):
    """A part of the service is away; the same call may succeed later, after ``retry_after_seconds`` where it said so."""

    default_code = "unavailable"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        places: Sequence[Place] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail, code=code, places=places)
        self.retry_after_seconds = retry_after_seconds


class NoRoomError(StrataError):
    """There is too little room: waiting does not make it, somebody has to."""

    default_code = "disk_full"


class LostLeaseError(StrataError):
    """The caller no longer holds the job. Stop the work and write nothing."""

    default_code = "lease_lost"


class CorruptError(StrataError):
    """Stored bytes do not match what was published."""

    default_code = "corrupt_artefact"

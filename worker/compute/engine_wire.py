"""What every door that speaks as an engine has in common: the shared secret, bodies read strictly, errors told."""

import hmac
from typing import Any, Final

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.domain.errors import (
    ConflictError,
    InvalidError,
    MalformedError,
    MissingError,
    NotReadyError,
    StrataError,
    TooLargeError,
    UnavailableError,
)
from core.serving.requests import CompletionRequest

_MAX_BODY_BYTES: Final = 8 * 1024 * 1024
_UNAUTHORIZED: Final = 401
# First match wins; what is not here, the engine could not do now (503).
_STATUSES: Final[tuple[tuple[type[StrataError], int], ...]] = (
    (TooLargeError, 413),
    (MalformedError, 400),
    (InvalidError, 422),
    (MissingError, 404),
    (ConflictError, 409),
    (NotReadyError, 425),
)
_NOT_READY: Final = 425
UNAVAILABLE: Final = 503
_RETRY_SECONDS: Final = 1


class UnauthorizedError(StrataError):
    """The caller did not present the shared secret."""

    default_code = "unauthorized"


def require_secret(request: Request, secret: str | None) -> None:
    """Return if the caller presents the secret, or where there is none: a socket's file mode guards the door then.

    Raises:
        UnauthorizedError: it does not.
    """
    if secret is None:
        return
    presented = request.headers.get("authorization", "").encode()
    if not hmac.compare_digest(presented, f"Bearer {secret}".encode()):
        raise UnauthorizedError("the engine's shared secret is missing or wrong")


async def asked(request: Request) -> CompletionRequest:
    """Return what a request's body asks for.

    Raises:
        InvalidError: it asks for nothing that is known, or is larger than 8 MiB.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise TooLargeError("the request is larger than 8 MiB")
    try:
        return CompletionRequest.model_validate_json(bytes(body))
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        detail = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults[:5])
        raise InvalidError(detail) from None


async def answer_error(_request: Request, error: Exception) -> Response:
    """Tell what went wrong, and when to come back."""
    if not isinstance(error, StrataError):
        raise error
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), UNAVAILABLE)
    if isinstance(error, UnauthorizedError):
        status = _UNAUTHORIZED
    said = error.retry_after_seconds if isinstance(error, UnavailableError) else None
    headers = {"Retry-After": str(said or _RETRY_SECONDS)} if status in {UNAVAILABLE, _NOT_READY} else None
    return JSONResponse(error_body(error), status_code=status, headers=headers)


def error_body(error: StrataError) -> dict[str, Any]:
    """Return what is told of an error."""
    body: dict[str, Any] = {"code": error.code, "detail": error.detail}
    if error.places:
        body["errors"] = [{"loc": list(place.loc), "message": place.message} for place in error.places]
    return body

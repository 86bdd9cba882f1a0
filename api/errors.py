"""Every error becomes one problem document: the domain's words on one side, HTTP's on the other."""

import errno
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from api import answer_headers
from api.error_codes import CODE_OF_STATUS, CODES
from api.schemas.problem import OpenAIError, Problem, ProblemPlace
from core.domain.errors import InvalidError, MalformedError, Place, QuotaError, StrataError, UnavailableError

log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
_SERVER_FAULT: Final = 500
_MAX_KEY_CHARS: Final = 64
_MAX_PATH_CHARS: Final = 512
# The disk is full, or the user's or the process's share of it.
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Generated clients retry a 409 unless told otherwise; the rest may be tried again after a moment.
_HEADERS: Final[dict[int, dict[str, str]]] = {
    401: {"WWW-Authenticate": 'Bearer realm="strata"'},
    409: {"x-should-retry": "false"},
    425: {"Retry-After": "1"},
    503: {"Retry-After": "1"},
}


def install(app: FastAPI) -> None:
    """Answer every exception that leaves a route with a problem document."""
    app.add_exception_handler(StrataError, _on_domain_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(OSError, _on_os_error)
    app.add_exception_handler(Exception, _on_unforeseen)


def invalid(error: ValidationError, *, loc: tuple[str | int, ...] = ()) -> InvalidError:
    """Return a model's validation error in domain words: places and rules, never the input."""
    places = [
        Place(loc=(*loc, *_shortened(fault["loc"])), message=fault["msg"])
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return InvalidError("the request has fields that cannot be accepted", places=places)


def problem(error: StrataError, *, path: str, request_id: str) -> Problem:
    """Return the document that tells of ``error``."""
    code = error.code if error.code in CODES else error.default_code
    status = CODES[code].status
    places = [
        ProblemPlace(loc=list(place.loc), line=place.line, message=place.message, hint=place.hint)
        for place in error.places
    ]
    return Problem(
        type=f"urn:strata:error:{code}",
        title=CODES[code].meaning,
        status=status,
        detail=error.detail,
        instance=quote(path[:_MAX_PATH_CHARS]),
        request_id=request_id,
        code=code,
        errors=places,
        error=OpenAIError(
            message=error.detail,
            type="server_error" if status >= _SERVER_FAULT else "invalid_request_error",
            code=code,
            param=".".join(str(key) for key in places[0].loc) or None if places else None,
        ),
    )


def response(
    error: StrataError,
    *,
    path: str,
    request_id: str,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer that tells of ``error``; ``status`` where HTTP itself has chosen one."""
    document = problem(error, path=path, request_id=request_id)
    if status is not None:
        document = document.model_copy(update={"status": status})
    return Response(
        document.model_dump_json(),
        status_code=document.status,
        media_type=MEDIA_TYPE,
        headers={
            **answer_headers.STANDARD,
            answer_headers.REQUEST_ID: request_id,
            **_HEADERS.get(document.status, {}),
            **(headers or {}),
        },
    )


def _answer(request: Request, error: StrataError, **how: Any) -> Response:
    return response(error, path=request.url.path, request_id=request.state.request_id, **how)


def _on_domain_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, StrataError):
        raise error
    if CODES.get(error.code, CODES[error.default_code]).status >= _SERVER_FAULT:
        log.warning("request.failed", request_id=request.state.request_id, code=error.code, detail=error.detail)
    return _answer(request, error, headers=_when_again(error))


def _when_again(error: StrataError) -> dict[str, str] | None:
    """Return the header that says when asking again may make sense, where the error knows."""
    seconds = error.retry_after_seconds if isinstance(error, QuotaError | UnavailableError) else None
    return None if seconds is None else {"Retry-After": str(seconds)}


def _on_validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    faults = error.errors()
    if any(fault["loc"][0] == "path" for fault in faults):
        # What cannot be an id or a name names nothing.
        return _answer(request, StrataError("there is no such thing", code="not_found"))
    places = [Place(loc=_shortened(fault["loc"]), message=fault["msg"]) for fault in faults]
    return _answer(request, InvalidError("the request has fields that cannot be accepted", places=places))


def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    fallback = "internal_error" if error.status_code >= _SERVER_FAULT else "invalid_request"
    code = CODE_OF_STATUS.get(error.status_code, fallback)
    told = StrataError(CODES[code].meaning, code=code)
    headers = {"Allow": _allowed(request)} if code == "method_not_allowed" else error.headers
    return _answer(request, told, status=error.status_code, headers=headers)


def _allowed(request: Request) -> str:
    """Return every method of the path; the library names those of the first route only."""
    pages = [route for route in request.app.routes if isinstance(route, Route)]
    routes = [*pages, *(route for router in request.app.state.routers for route in router.routes)]
    return ", ".join(
        sorted({method for route in routes if route.path_regex.match(request.url.path) for method in route.methods})
    )


def _on_disconnect(request: Request, error: Exception) -> Response:
    """Nobody is left to read the answer; what was half received is gone with its folder."""
    del error
    log.info("request.left", request_id=request.state.request_id)
    return _answer(request, MalformedError("the caller went away"))


def _on_os_error(request: Request, error: Exception) -> Response:
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        log.error("disk.full", request_id=request.state.request_id)
        return _answer(request, StrataError("there is no space left to store this", code="disk_full"))
    return _on_unforeseen(request, error)


def _on_unforeseen(request: Request, error: Exception) -> Response:
    """The last resort: the trace goes to the log, the caller gets the id to find it by."""
    log.error("request.crashed", request_id=request.state.request_id, exc_info=error)
    return _answer(request, StrataError("the service failed; its log knows more under the request id"))


def _shortened(loc: Sequence[str | int]) -> tuple[str | int, ...]:
    """Keys that a caller invented are named, but not repeated at any length."""
    return tuple(key[:_MAX_KEY_CHARS] if isinstance(key, str) else key for key in loc)

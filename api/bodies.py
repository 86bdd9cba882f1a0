"""JSON bodies, read by our own strict parser before any model sees them."""

import json
from collections.abc import Awaitable, Callable
from email.message import Message
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from api import errors
from core.domain import strict_json
from core.domain.errors import InvalidError, TooLargeError

M = TypeVar("M", bound=BaseModel)

MAX_BODY_BYTES: Final = 1024 * 1024


def json_body(model: type[M]) -> Callable[[Request], Awaitable[M]]:
    """Return a dependency that reads the request's body as ``model``."""

    async def body(request: Request) -> M:
        return await read(request, model)

    return body


def described(model: type[BaseModel]) -> dict[str, Any]:
    """Return the `openapi_extra` of a route that reads ``model``; `api.openapi` adds the schema itself."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def read(request: Request, model: type[M]) -> M:
    """Read the request's body as ``model``.

    Raises:
        InvalidError: 415 for another content type, 413 over `MAX_BODY_BYTES`, 400 for bad JSON, 422 for the rest.
    """
    _require_json(request)
    return parse(strict_json.loads(await _bounded(request)), model)


def parse(value: Any, model: type[M], *, loc: tuple[str | int, ...] = ()) -> M:
    """Return ``value``, as decoded from JSON, as ``model``: no conversion between types.

    Raises:
        InvalidError: with a place for each field that does not fit.
    """
    try:
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise errors.invalid(error, loc=loc) from None


def media_type(request: Request) -> tuple[str, str]:
    """Return the content type and its charset, both lower case.

    Raises:
        InvalidError: the body is compressed.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise InvalidError("compressed bodies are not read", code="unsupported_media_type")
    message = Message()
    message["content-type"] = request.headers.get("content-type", "application/octet-stream")
    return message.get_content_type().lower(), (message.get_content_charset() or "utf-8").lower()


def require_form(request: Request) -> None:
    """Check that the body is said to be a form with files.

    Raises:
        InvalidError: it is not, or it is compressed.
    """
    if media_type(request)[0] != "multipart/form-data":
        raise InvalidError("the body must be multipart/form-data", code="unsupported_media_type")


def _require_json(request: Request) -> None:
    if media_type(request) != ("application/json", "utf-8"):
        raise InvalidError("the body must be application/json in UTF-8", code="unsupported_media_type")


async def _bounded(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError(f"a JSON body has at most {MAX_BODY_BYTES} bytes")
    return bytes(body)

"""Ids and names: a type prefix and a time-ordered UUID; slugs for what people name."""

import re
import secrets
from typing import Final

import uuid_utils

from core.domain.errors import InvalidError, Place

# Lower-case letters, digits and single separators: the same on every file system, in URLs and in shells.
SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9]|[._-](?=[a-z0-9])){0,62}\Z")
SLUG_PATTERN: Final = r"^[a-z0-9](?:[a-z0-9]|[._-](?=[a-z0-9])){0,62}$"


def new_id(prefix: str) -> str:
    """Return ``prefix_`` and the 32 hex digits of a version 7 UUID, so that ids sort by time."""
    return f"{prefix}_{uuid_utils.uuid7().hex}"


def id_at(prefix: str, *, ms: int, turn: int) -> str:
    """Return an id of ``new_id``'s shape that sorts by a moment, in milliseconds since the epoch, then by ``turn``.

    For what is ordered by the database's clock rather than by this machine's.
    """
    return f"{prefix}_{ms:012x}{turn:04x}{secrets.token_hex(8)}"


def require_slug(name: str, *, loc: tuple[str | int, ...]) -> str:
    """Return ``name`` if it is a slug.

    Raises:
        InvalidError: it is not; ``loc`` names the place.
    """
    if SLUG.match(name):
        return name
    message = "must be 1 to 63 lower-case letters, digits, and single '.', '_' or '-' between them"
    raise InvalidError("not a valid name", code="invalid_name", places=[Place(loc=loc, message=message)])

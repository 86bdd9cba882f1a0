"""Keys to the service: what one looks like, what it opens, and who stands behind a call."""

import hashlib
import re
import secrets
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Where no key is asked for, everything is done by this actor.
ANYBODY: Final = "user"
_PREFIX: Final = "strata_"
_RANDOM_BYTES: Final = 20
_CHECKSUM_DIGITS: Final = 8
_SHAPE: Final = re.compile(rf"{_PREFIX}[0-9a-f]{{{2 * _RANDOM_BYTES + _CHECKSUM_DIGITS}}}\Z")
_HINT_CHARS: Final = len(_PREFIX) + 6


class Scope(StrEnum):
    """What a key opens. `admin` opens everything; the others open nothing but their own."""

    READ = "read"
    TRAIN = "train"
    GENERATE = "generate"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who stands behind a call, and what they may do.

    Attributes:
        key_id: None where no key is asked for.
        max_requests_per_minute: of the project; None is no limit.
        max_generations: of the project, at once; None is the service's own limit.
    """

    project_id: str
    key_id: str | None
    scopes: frozenset[Scope]
    max_requests_per_minute: int | None
    max_generations: int | None = None

    @property
    def actor(self) -> str:
        """The name under which changes are recorded."""
        return self.key_id or ANYBODY

    def may(self, scope: Scope) -> bool:
        """Return whether the caller has a scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


def mint() -> str:
    """Return a new key: ``strata_``, 160 random bits, and a CRC-32 by which a mistyped one is known without asking."""
    unchecked = _PREFIX + secrets.token_hex(_RANDOM_BYTES)
    return unchecked + _checksum(unchecked)


def is_whole(key: str) -> bool:
    """Return whether ``key`` has the shape of a key and its checksum is right."""
    return bool(_SHAPE.match(key)) and _checksum(key[:-_CHECKSUM_DIGITS]) == key[-_CHECKSUM_DIGITS:]


def looks_like_key(text: str) -> bool:
    """Return whether ``text`` was meant as a key."""
    return text.startswith(_PREFIX)


def sha256_of(key: str) -> str:
    """Return the hash under which a key is stored: at 160 random bits no slower function is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def hint_of(key: str) -> str:
    """Return the first characters of a key, by which people tell keys apart."""
    return key[:_HINT_CHARS]


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):0{_CHECKSUM_DIGITS}x}"

"""Times as people and machines outside read them; the registry counts milliseconds since the epoch."""

from datetime import UTC, datetime


def timestamp(ms: int) -> str:
    """Return milliseconds since the epoch as RFC 3339 in UTC."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

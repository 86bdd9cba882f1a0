"""What a caller would rather have, by `Accept` (RFC 9110, 12.5.1)."""

from collections.abc import Mapping
from typing import TypeVar

Kind = TypeVar("Kind")


def preferred(accept: str, offered: Mapping[str, Kind]) -> Kind:
    """Return what is offered under the media type that is wanted most; the first of equals, and of none.

    What the caller names stands before what only a pattern such as ``text/*`` allows.
    """
    wanted = [_weighed(each) for each in accept.split(",") if each.strip()]
    return offered[max(offered, key=lambda media_type: _weight(media_type, wanted))]


def _weight(media_type: str, wanted: list[tuple[str, float]]) -> float:
    family = media_type.partition("/")[0]
    for pattern in (media_type, f"{family}/*", "*/*"):
        weights = [weight for asked, weight in wanted if asked == pattern]
        if weights:
            return max(weights)
    return 0.0


def _weighed(asked: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip() for part in asked.lower().split(";"))
    weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return media_type, min(max(float(weight), 0.0), 1.0)
    except ValueError:
        return media_type, 0.0

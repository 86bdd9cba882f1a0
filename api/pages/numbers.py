"""How pages write numbers, times and digests."""

from typing import Final

from api.pages.markup import Markup, element
from core.domain.model_report import Measure

NOT_MEASURED: Final = "not measured"
# Stands where there is nothing to write.
NOTHING: Final = "\u2013"
_DIGEST_LETTERS: Final = 16


def share(value: float | None) -> str:
    """Return a share or another figure of that size to three places."""
    return NOT_MEASURED if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference to three places, with its sign."""
    return NOT_MEASURED if value is None else f"{value:+.3f}"


def percent(value: float | None) -> str:
    """Return a share as a percentage to three significant digits, e.g. ``0.125 %``."""
    return NOT_MEASURED if value is None else f"{100 * value:.3g} %"


def whole(value: int | None) -> str:
    """Return a count in groups of three digits."""
    return NOT_MEASURED if value is None else f"{value:,}"


def measure(found: Measure | None) -> str:
    """Return a score with its interval and its rows, as far as they are known."""
    if found is None:
        return NOT_MEASURED
    interval = "" if found.low is None or found.high is None else f" [{share(found.low)}, {share(found.high)}]"
    rows = "" if found.n_rows is None else f", {whole(found.n_rows)} rows"
    return f"{share(found.value)}{interval}{rows}"


def moment(timestamp: str) -> Markup:
    """Return a time to the second; ``timestamp`` is RFC 3339 in UTC."""
    return element("time", f"{timestamp[:10]} {timestamp[11:19]} UTC", datetime=timestamp)


def digest(whole: str) -> Markup:
    """Return the beginning of a digest; all of it is told when it is pointed at."""
    return element("code", whole[:_DIGEST_LETTERS], title=whole)

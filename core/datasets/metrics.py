"""By which metrics a task's held-out rows are scored."""

from collections.abc import Sequence

from core.datasets.catalogue import FORMATS
from core.domain.errors import InvalidError, Place
from core.domain.metrics import SHARES


def metrics_of(format_name: str, asked: Sequence[str] | None) -> tuple[str, ...]:
    """Return the metrics of a task: those that were asked for, or else its format's own.

    Raises:
        InvalidError: the format has no such metric, or the first is none that can fill a score matrix.
    """
    own = FORMATS[format_name]
    if asked is None:
        return own.metrics
    known = (*own.metrics, *own.more_metrics)
    if unknown := [metric for metric in asked if metric not in known]:
        raise _refusal(f"rows of this format have no metric {unknown[0]!r}", hint=f"they have: {', '.join(known)}")
    if asked[0] not in SHARES:
        shares = [metric for metric in known if metric in SHARES]
        raise _refusal(
            f"the first metric fills the score matrix and must be a share from 0 to 1, which {asked[0]} is not",
            hint=f"begin with one of: {', '.join(shares)}",
        )
    return tuple(dict.fromkeys(asked))


def _refusal(message: str, *, hint: str) -> InvalidError:
    places = [Place(loc=("spec", "evaluation", "metrics"), message=message, hint=hint)]
    return InvalidError("the task cannot be scored by these metrics", places=places)

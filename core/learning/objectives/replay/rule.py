"""Replay (arXiv 1902.10486): a sample of earlier tasks' rows is learned again, shuffled among the new ones."""

from collections.abc import Sequence

from core.learning.objectives.port import Objective
from core.learning.objectives.replay.config import ReplaySettings
from core.learning.rows import TokenRow


class Replay(Objective):
    """The objective ``replay``."""

    name = "replay"
    has_value = False

    def __init__(self, settings: ReplaySettings, *, reservoir: Sequence[TokenRow]) -> None:
        self._ratio = settings.ratio
        self._reservoir = reservoir

    def training_rows(self, own: Sequence[TokenRow]) -> Sequence[TokenRow]:
        """Return the task's rows, and up to ``ratio`` times as many remembered ones, a uniform sample."""
        return [*own, *self._reservoir[: round(self._ratio * len(own))]]

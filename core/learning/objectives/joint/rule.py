"""Joint training: every row of every earlier task is learned again, shuffled among the new ones."""

from collections.abc import Sequence

from core.learning.objectives.joint.config import JointSettings
from core.learning.objectives.port import Objective
from core.learning.rows import TokenRow


class Joint(Objective):
    """The objective ``joint``."""

    name = "joint"
    has_value = False

    def __init__(self, settings: JointSettings, *, every_row: Sequence[TokenRow]) -> None:
        del settings  # there are none
        self._rows = every_row

    def training_rows(self, own: Sequence[TokenRow]) -> Sequence[TokenRow]:
        """Return the task's rows and all remembered ones."""
        return [*self._rows, *own]

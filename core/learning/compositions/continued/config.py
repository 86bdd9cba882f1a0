"""Settings of continued training. No torch."""

from core.learning.part import PartInfo
from core.learning.strict import Strict


class ContinueSettings(Strict):
    """One adapter is trained on from task to task; nothing can be set."""


PART = PartInfo(
    axis="composition",
    name="continue",
    summary="One adapter is trained on from task to task.",
    settings=ContinueSettings,
    rule="core.learning.compositions.continued.rule:Continue",
    source="baseline",
    requires=frozenset({"low_rank", "mergeable"}),
    memories=("last_factors",),
    excludes=frozenset({"ella", "drift", "olora", "ewc", "lwf"}),
    excludes_because="it looks at a task's update alone, and here there is one update of all tasks",
)

"""Settings of starting again. No torch."""

from core.learning.part import PartInfo
from core.learning.strict import Strict


class RestartSettings(Strict):
    """Each task starts again from the base model; nothing can be set."""


PART = PartInfo(
    axis="composition",
    name="restart",
    summary="Each task starts again from the base model, and its update takes the place of all earlier ones.",
    settings=RestartSettings,
    rule="core.learning.compositions.restart.rule:Restart",
    source="baseline",
    # A free teacher keeps its update beside the weights, so that others can be put under it.
    requires=frozenset({"mergeable", "free_teacher"}),
    excludes=frozenset({"ella", "drift", "olora", "ewc", "lwf"}),
    excludes_because="it keeps a past, and here the task starts again from the base model",
)

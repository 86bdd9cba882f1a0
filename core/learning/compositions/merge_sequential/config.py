"""Settings of sequential merging. No torch."""

from core.learning.part import PartInfo
from core.learning.strict import Strict


class MergeSequentialSettings(Strict):
    """Each task's update is added to the weights once it is learned; nothing can be set."""


PART = PartInfo(
    axis="composition",
    name="merge_sequential",
    summary="Each task's update is added to the weights once it is learned.",
    settings=MergeSequentialSettings,
    rule="core.learning.compositions.merge_sequential.rule:MergeSequential",
    source="arXiv:2604.16171",
    requires=frozenset({"mergeable"}),
)

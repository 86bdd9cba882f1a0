"""Settings of sequential merging. No torch."""

from core.learning.recipe import Strict


class MergeSequentialSettings(Strict):
    """Each task's update is added to the weights once it is learned; nothing can be set."""

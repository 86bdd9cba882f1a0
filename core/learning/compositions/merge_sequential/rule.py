"""Sequential merging: once a task is learned, its update is added to the weights and the factors are thrown away."""

from torch import nn

from core.learning.adapters.port import Adapter
from core.learning.compositions.merge_sequential.config import MergeSequentialSettings
from core.learning.compositions.port import InPlace
from core.weights import fold
from core.weights.delta import Delta


class MergeSequential(InPlace):
    """The composition ``merge_sequential``."""

    def __init__(self, settings: MergeSequentialSettings | None = None) -> None:
        del settings  # there are none

    def delta(self, adapter: Adapter) -> Delta:
        """Return what the task leaves: the adapter's final update, sparse where the adapter is gated."""
        return Delta.from_dense(dict(adapter.deltas()), sparse=adapter.sparse)

    def merge(self, base: nn.Module, delta: Delta) -> None:
        """Add the update to the weights of ``base``, in place, by the fold that serving uses."""
        fold.apply(base, fold.fold(base, [delta]))

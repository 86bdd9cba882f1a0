"""What adapters without a gate have in common: no schedule, and nothing to remember beside their parameters."""

from collections.abc import Mapping


class Ungated:
    """The part of `core.learning.adapters.port.Adapter` in which such adapters do nothing."""

    __slots__ = ()

    def after_step(self, step: int, *, total_steps: int) -> None:
        """Nothing changes over the steps."""

    def settled(self) -> bool:
        """Always: the update is used as it will be merged."""
        return True

    def settle(self) -> None:
        """There is nothing to do."""

    def figures(self) -> dict[str, float]:
        """Return nothing: there is no gate to tell of."""
        return {}

    def state(self) -> dict[str, float]:
        """Return nothing: the parameters are all there is."""
        return {}

    def restore(self, state: Mapping[str, float]) -> None:
        """Take over nothing."""

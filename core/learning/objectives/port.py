"""What an objective beside the loss on the targets offers to the learner."""

from collections.abc import Mapping
from typing import Protocol

from core.learning.adapters.port import AdaptedLayer


class Objective(Protocol):
    """A term of the loss whose gradient is known in closed form."""

    name: str

    def add_gradient(self, layers: Mapping[str, AdaptedLayer]) -> float:
        """Add the term's gradient to the factors' ``.grad`` and return the term's value."""

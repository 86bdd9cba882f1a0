"""Settings of the memory W_past. No torch."""

from core.learning.recipe import Strict


class WPastSettings(Strict):
    """The sum of all earlier updates; nothing can be set."""

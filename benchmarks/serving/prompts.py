"""What the benchmark asks: 32 prompts of 15 to 60 tokens that have no beginning in common."""

from typing import Final

_SUBJECTS: Final = (
    "The harbour office", "My neighbour's dog", "A letter from the bank", "Our train to the coast",
    "Every winter the river", "The old lighthouse keeper", "Nobody at the meeting", "Her first bicycle",
)  # fmt: skip
_VERBS: Final = (
    "opened early that morning because",
    "was talked about for weeks, since the people of the town had never seen anything of the kind before, and",
    "cost much more than anybody had expected when",
    "changed the way in which we think about work, about time and about each other; the reason, in short, is that",
)
PROMPTS: Final = tuple(f"{subject} {verb}" for verb in _VERBS for subject in _SUBJECTS)

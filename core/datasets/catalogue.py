"""Every dataset format, by name. A new one is a module beside this file and a line here."""

from typing import Final

from core.datasets.example import Format
from core.datasets.messages import Messages
from core.datasets.prompt_completion import PromptCompletion
from core.datasets.text import Text
from core.datasets.text_label import TextLabel

FORMATS: Final[dict[str, Format]] = {
    each.name: each
    for each in (
        PromptCompletion(),
        TextLabel(),
        Messages(),
        Text(),
    )
}

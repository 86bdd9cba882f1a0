"""Turns tokens into text as they come, and stops at stop strings.

A token can be part of a character, and its text can depend on the token before it. So tokens are decoded with a few
before them, and text is released only once later tokens cannot change it: no half character, and nothing that may be
the start of a stop string.
"""

from collections.abc import Sequence
from typing import Any, Final

_HALF_CHARACTER: Final = "\ufffd"


class TextStream:
    """The text of one answer. The pieces that `push` and `flush` return concatenate to it."""

    def __init__(self, tokenizer: Any, stops: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stops = tuple(stops)
        self._tokens: list[int] = []
        self._context_start = 0
        self._released = 0
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """Take the next token; return the text that is certain now, perhaps none. Sets ``stopped`` at a stop string."""
        self._tokens.append(token)
        return self._release(self._new_text(final=False), final=False)

    def flush(self) -> str:
        """Return what was held back: nothing follows."""
        return "" if self.stopped else self._release(self._new_text(final=True), final=True)

    def _new_text(self, *, final: bool) -> str:
        before = self._decode(self._tokens[self._context_start : self._released])
        after = self._decode(self._tokens[self._context_start :])
        if len(after) <= len(before) or (after.endswith(_HALF_CHARACTER) and not final):
            return ""
        self._context_start, self._released = self._released, len(self._tokens)
        return after[len(before) :]

    def _release(self, text: str, *, final: bool) -> str:
        held = self._held + text
        ends = [at for at in (held.find(stop) for stop in self._stops) if at >= 0]
        if ends:
            self.stopped = True
            return held[: min(ends)]
        keep = 0 if final else max((_overlap(held, stop) for stop in self._stops), default=0)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def _decode(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of ``text`` that ``stop`` starts with."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)

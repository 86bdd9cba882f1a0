"""Constrained choice: the tokens that an answer may go on with so that it becomes one of the given options."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from core.domain.errors import InvalidError, Place


@dataclass(slots=True)
class _Node:
    """What was written so far: how it may go on, and the option that it is, if it is one."""

    following: dict[int, "_Node"] = field(default_factory=dict)
    option: str | None = None


class Options:
    """A walk down the tree of the options' tokens.

    Args:
        encoded: each option's own tokens.
        end_tokens: what ends an answer. Where one option begins another, these say whether it ends here.
    """

    def __init__(self, encoded: Mapping[str, Sequence[int]], end_tokens: Collection[int]) -> None:
        self._end_tokens = sorted(end_tokens)
        self._at = root = _Node()
        for option, tokens in encoded.items():
            node = root
            for token in tokens:
                node = node.following.setdefault(token, _Node())
            if node.option is not None or node is root:
                raise InvalidError(
                    "the model's tokenizer cannot tell the choices apart",
                    places=[Place(loc=("choices",), message="two of them, or one and nothing, are the same tokens")],
                )
            node.option = option

    @property
    def chosen(self) -> str | None:
        """The option that is written, once nothing can follow."""
        return self._at.option if not self._at.following else None

    def allowed(self) -> list[int]:
        """Return the tokens that may come next."""
        ends = self._end_tokens if self._at.option is not None else []
        return [*self._at.following, *ends]

    def take(self, token: int) -> str | None:
        """Go on by an allowed token; return the option if it is complete with it."""
        if token in self._at.following:
            self._at = self._at.following[token]
            return self.chosen
        return self._at.option

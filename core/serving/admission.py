"""Who is decoded with whom: sequences that wait become members of batches.

Where this engine decodes the network itself, a version's answers share one `ContinuousBatch` that they join and leave
between steps. Elsewhere what waits for the same version starts together, and a version has at most two such batches at
a time, so that a long answer does not hold up the next request.
"""

from collections.abc import Callable, Iterable
from collections.abc import Sequence as List
from typing import Final

from core.serving import batches
from core.serving.batches import Batch
from core.serving.continuous import ContinuousBatch
from core.serving.llama.forward import LlamaDecoder
from core.serving.loading import LiveVersion
from core.serving.sequence import Sequence

MAX_SEQUENCES: Final = 16
# Padded prompt tokens of one batch: bounds the memory and the time of its first step.
MAX_PROMPT_TOKENS: Final = 8192
MAX_BATCHES: Final = 8
MAX_BATCHES_A_VERSION: Final = 2


class Running:
    """The batches under way.

    Args:
        on_failure: hears of sequences whose batch could not even be started.
        failures: the errors that a batch may fail with.
    """

    def __init__(
        self, *, on_failure: Callable[[List[Sequence], Exception], None], failures: tuple[type[Exception], ...]
    ) -> None:
        self._on_failure = on_failure
        self._failures = failures
        self._continuous: dict[LiveVersion, ContinuousBatch] = {}
        self._static: list[tuple[LiveVersion, Batch]] = []

    def __bool__(self) -> bool:
        return bool(self._continuous or self._static)

    def batches(self) -> list[Batch]:
        """Return all of them, in the order in which they take their steps."""
        return [*self._continuous.values(), *(batch for _, batch in self._static)]

    def drop_empty(self) -> None:
        """Forget batches that nobody is in."""
        self._continuous = {version: batch for version, batch in self._continuous.items() if batch.sequences}
        self._static = [(version, batch) for version, batch in self._static if batch.sequences]

    def admit(self, waiting: Iterable[Sequence]) -> list[list[Sequence]]:
        """Let those begin who can, first come first served; return them, those together who begin together."""
        ours: list[tuple[Sequence, LlamaDecoder]] = []
        others: list[Sequence] = []
        for sequence in waiting:
            decoder = sequence.version.decoder
            if decoder is None:
                others.append(sequence)
            else:
                ours.append((sequence, decoder))
        joined = self._join(ours)
        return [*([joined] if joined else []), *self._start(others)]

    def _join(self, waiting: List[tuple[Sequence, LlamaDecoder]]) -> list[Sequence]:
        """Let sequences join their versions' batches.

        Behind one that must wait nobody of its version goes ahead, nor, if it is memory that it waits for, anybody who
        needs the same.
        """
        joined: list[Sequence] = []
        closed: set[object] = set()
        for sequence, decoder in waiting:
            version = sequence.version
            if {version, decoder.room} & closed:
                continue
            batch = self._continuous.setdefault(version, ContinuousBatch(version.version_id, decoder))
            if batch.join(sequence):
                joined.append(sequence)
            else:
                closed.add(version if batch.is_full else decoder.room)
        return joined

    def _start(self, waiting: List[Sequence]) -> list[list[Sequence]]:
        """Begin batches of sequences that wait for the same version."""
        chosen: dict[LiveVersion, list[Sequence]] = {}
        for sequence in waiting:
            group = chosen.get(sequence.version, [])
            if self._may_start(group, sequence, new_batches=len(chosen)):
                chosen[sequence.version] = [*group, sequence]
        for version, group in chosen.items():
            try:
                self._static.append((version, batches.start(version, group)))
            except self._failures as error:
                self._on_failure(group, error)
        return list(chosen.values())

    def _may_start(self, group: list[Sequence], sequence: Sequence, *, new_batches: int) -> bool:
        if group:
            width = max(len(member.prompt) for member in [*group, sequence])
            return len(group) < MAX_SEQUENCES and width * (len(group) + 1) <= MAX_PROMPT_TOKENS
        of_version = sum(1 for held, _ in self._static if held is sequence.version)
        return of_version < MAX_BATCHES_A_VERSION and len(self._static) + new_batches < MAX_BATCHES

"""Sequences of one version that begin together and are decoded by transformers, one token each a step.

For networks that `core.serving.continuous` does not decode: encoders with decoders, and causal ones whose architecture
`core.serving.llama` does not know.

Shape legend: N sequences, L tokens, V vocabulary.
"""

import inspect
from collections.abc import Sequence as List
from typing import Protocol

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from core.serving.loading import LiveVersion
from core.serving.sequence import Sequence


class Batch(Protocol):
    """What the scheduler drives."""

    @property
    def sequences(self) -> list[Sequence]:
        """Those that are being answered."""

    def step(self) -> None:
        """Take a step, and drop the sequences that are over."""

    def clear(self) -> None:
        """Drop all sequences."""


def start(version: LiveVersion, sequences: List[Sequence]) -> Batch:
    """Return the batch that decodes ``sequences``, all of ``version``."""
    kind = Seq2SeqBatch if version.facts.family == "seq2seq" else CausalBatch
    return kind(version, sequences)


class CausalBatch:
    """Prompts padded on the left, continued over one key-value cache."""

    def __init__(self, version: LiveVersion, sequences: List[Sequence]) -> None:
        self.sequences = list(sequences)
        self._model = version.module
        self._cache = DynamicCache(config=self._model.config)
        self._takes = frozenset(inspect.signature(self._model.forward).parameters)
        width = max(len(sequence.prompt) for sequence in sequences)
        pads = [width - len(sequence.prompt) for sequence in sequences]
        rows = [[0] * pad + sequence.prompt for pad, sequence in zip(pads, sequences, strict=True)]
        self._tokens_NL = torch.tensor(rows, device=self._model.device)
        self._mask_NL = torch.ones_like(self._tokens_NL)
        for row, pad in enumerate(pads):
            self._mask_NL[row, :pad] = 0

    def step(self) -> None:
        """Advance every sequence by one token, then drop those that are done or no longer wanted."""
        self._drop_those_over()
        if not self.sequences:
            return
        positions_NL = (self._mask_NL.cumsum(-1) - 1).clamp(min=0)[:, -self._tokens_NL.shape[1] :]
        # The head over the whole vocabulary is the costliest layer of a small model: only the last position needs it.
        inputs = {"attention_mask": self._mask_NL, "position_ids": positions_NL, "logits_to_keep": 1}
        output = self._model(
            input_ids=self._tokens_NL,
            past_key_values=self._cache,
            use_cache=True,
            **{name: value for name, value in inputs.items() if name in self._takes},
        )
        self._tokens_NL = advance(self.sequences, output.logits[:, -1])
        self._mask_NL = torch.nn.functional.pad(self._mask_NL, (0, 1), value=1)
        self._drop_those_over()

    def clear(self) -> None:
        """Drop all sequences."""
        self.sequences = []

    def _drop_those_over(self) -> None:
        kept = going_on(self.sequences)
        if len(kept) < len(self.sequences):
            kept_N = torch.tensor(kept, dtype=torch.long, device=self._model.device)
            self.sequences = [self.sequences[row] for row in kept]
            self._tokens_NL, self._mask_NL = self._tokens_NL[kept_N], self._mask_NL[kept_N]
            if kept and self._cache.get_seq_length():
                self._cache.batch_select_indices(kept_N)


class Seq2SeqBatch:
    """Sources encoded once, padded on the right; targets start together and are decoded over one cache."""

    def __init__(self, version: LiveVersion, sequences: List[Sequence]) -> None:
        self.sequences = list(sequences)
        self._model = version.module
        config = self._model.config
        self._cache = EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))
        width = max(len(sequence.prompt) for sequence in sequences)
        rows = [sequence.prompt + [0] * (width - len(sequence.prompt)) for sequence in sequences]
        mask = [[1] * len(sequence.prompt) + [0] * (width - len(sequence.prompt)) for sequence in sequences]
        self._mask_NL = torch.tensor(mask, device=self._model.device)
        self._source: Tensor | None = None
        self._source_NL = torch.tensor(rows, device=self._model.device)
        self._tokens_N1 = torch.full((len(rows), 1), config.decoder_start_token_id, device=self._model.device)

    def step(self) -> None:
        """Advance every sequence by one token, then drop those that are done or no longer wanted."""
        self._drop_those_over()
        if not self.sequences:
            return
        if self._source is None:
            encoder = self._model.get_encoder()
            self._source = encoder(input_ids=self._source_NL, attention_mask=self._mask_NL).last_hidden_state
        output = self._model(
            encoder_outputs=BaseModelOutput(last_hidden_state=self._source),
            attention_mask=self._mask_NL,
            decoder_input_ids=self._tokens_N1,
            past_key_values=self._cache,
            use_cache=True,
        )
        self._tokens_N1 = advance(self.sequences, output.logits[:, -1])
        self._drop_those_over()

    def clear(self) -> None:
        """Drop all sequences."""
        self.sequences = []

    def _drop_those_over(self) -> None:
        kept = going_on(self.sequences)
        if len(kept) < len(self.sequences):
            kept_N = torch.tensor(kept, dtype=torch.long, device=self._model.device)
            self.sequences = [self.sequences[row] for row in kept]
            self._tokens_N1, self._mask_NL = self._tokens_N1[kept_N], self._mask_NL[kept_N]
            self._source_NL = self._source_NL[kept_N]
            if kept and self._source is not None:
                self._source = self._source[kept_N]
                self._cache.batch_select_indices(kept_N)


def advance(sequences: List[Sequence], logits_NV: Tensor) -> Tensor:
    """Give each sequence its logits; return the tokens they chose ``[N, 1]``."""
    tokens = [sequence.advance(logits_V) for sequence, logits_V in zip(sequences, logits_NV, strict=True)]
    return torch.tensor(tokens, device=logits_NV.device)[:, None]


def going_on(sequences: List[Sequence]) -> list[int]:
    """Return the places of the sequences that want another token."""
    return [place for place, sequence in enumerate(sequences) if not sequence.is_over]

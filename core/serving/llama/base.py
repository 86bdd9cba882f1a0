"""What the versions of one base share when they decode: sizes, rotations and the room of keys and values."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import structlog
import torch
from torch import Tensor

from core.serving.llama.architecture import LlamaShape, shape_of
from core.serving.llama.forward import LlamaDecoder, Part
from core.serving.llama.key_values import KeyValues, Slot
from core.serving.llama.packing import pack_base
from core.serving.llama.weights import rotations, weights_of

log = structlog.get_logger()

# More answers of one version than this are not decoded at once, so more room is of no use.
MAX_TEXTS: Final = 32
_PROBE_TOKENS: Final = 12
# Of the largest logit, or of 1 if that is smaller: as `core.weights.canary`.
_TOLERANCE: Final = {torch.float32: 1e-4}
_TOLERANCE_OF_HALVES: Final = 5e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaBase:
    """A base whose versions are decoded here, not by transformers."""

    shape: LlamaShape
    cosines: Tensor
    sines: Tensor
    room: KeyValues

    @classmethod
    def of(cls, model: Any, *, cache_bytes: int) -> Self | None:
        """Prepare a base that was just loaded: its weights are packed in place. None where transformers must run it.

        That a network is known is not taken on trust: its logits on a few tokens are compared with transformers'.
        """
        shape = shape_of(model)
        if shape is None:
            return None
        pack_base(model)
        tokens = min(cache_bytes // shape.token_bytes, MAX_TEXTS * shape.context_tokens)
        cosines, sines = rotations(model, shape.context_tokens)
        if not _agrees(model, cls(shape=shape, cosines=cosines, sines=sines, room=KeyValues(shape, _PROBE_TOKENS))):
            log.warning("engine.decoder_disagrees", architecture=type(model).__name__)
            return None
        return cls(shape=shape, cosines=cosines, sines=sines, room=KeyValues(shape, tokens))

    def decoder(self, model: Any) -> LlamaDecoder:
        """Return what decodes a version of this base, given its network."""
        return LlamaDecoder(self.shape, weights_of(model, self.cosines, self.sines), self.room)

    @torch.inference_mode()
    def next_logits(self, model: Any, prompts: Sequence[Sequence[int]]) -> Tensor:
        """Return the logits ``[prompts, vocabulary]`` after each prompt, in a room of their own: on any thread.

        The last prompt's last token is read by itself, as a lone caller's are.
        """
        room = KeyValues(self.shape, sum(len(prompt) for prompt in prompts))
        decoder = LlamaDecoder(self.shape, weights_of(model, self.cosines, self.sines), room)
        ends = itertools.accumulate(len(prompt) for prompt in prompts)
        slots = [Slot(end - len(prompt), len(prompt)) for end, prompt in zip(ends, prompts, strict=True)]
        *others, (slot, lone) = zip(slots, prompts, strict=True)
        together = [Part(slot, 0, prompt, wants_next=True) for slot, prompt in others]
        if len(lone) > 1:
            together.append(Part(slot, 0, lone[:-1], wants_next=False))
        first = [decoder.step(together)] if together else []
        return torch.cat([*first, decoder.step([Part(slot, len(lone) - 1, lone[-1:], wants_next=True)])])


@torch.inference_mode()
def _agrees(model: Any, base: LlamaBase) -> bool:
    vocabulary = model.config.vocab_size
    tokens = [(7919 * place) % vocabulary for place in range(1, _PROBE_TOKENS + 1)]
    theirs_V = model(input_ids=torch.tensor([tokens], device=base.shape.device), use_cache=False).logits[0, -1].float()
    slot = Slot(0, _PROBE_TOKENS)
    decoder = base.decoder(model)
    decoder.step([Part(slot, 0, tokens[:5], wants_next=False)])
    decoder.step([Part(slot, 5, tokens[5:-1], wants_next=False)])
    # A lone token goes its own way.
    ours_V = decoder.step([Part(slot, len(tokens) - 1, tokens[-1:], wants_next=True)])[0].float()
    scale = max(1.0, float(theirs_V.abs().max()))
    return float((ours_V - theirs_V).abs().max()) <= scale * _TOLERANCE.get(base.shape.dtype, _TOLERANCE_OF_HALVES)

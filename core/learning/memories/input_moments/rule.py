"""Second moments of the inputs that earlier tasks gave to the adapted layers, as thin factors of fixed size.

Of each task the mean of ``x x'`` over its tokens is added, so that every task counts the same; of the sum the ``rank``
largest directions are kept. The size does not grow with the number of tasks, and no row can be read out of it.

Shapes: I inputs of a layer, K kept directions, N tokens.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from core.learning.memories.input_moments.config import InputMomentsSettings
from core.learning.memories.port import Learned, Past, SilentMemory
from core.weights.linear import outputs_first

_FACTOR: Final = ".factor"
_REACH: Final = ".reach"
_SMALLEST: Final = 1e-30


@dataclass(frozen=True, slots=True)
class Moment:
    """What is kept for one layer.

    Attributes:
        factor_KI: F with ``F' F`` close to the second moment.
        reach: ``||W F'||^2``, the mean squared output of the layer itself on those inputs.
    """

    factor_KI: Tensor
    reach: float


class InputMoments(SilentMemory, Mapping[str, Moment]):
    """Moments by module name. Empty before the first task that was learned with this memory."""

    def __init__(self, settings: InputMomentsSettings | None = None) -> None:
        self._settings = settings or InputMomentsSettings.model_validate({})
        self._moments: dict[str, Moment] = {}

    def recall(self, past: Past) -> None:
        """Take over what the version keeps, for the modules that the task adapts too."""
        state = past.states.get("input_moments", {})
        for key, factor_KI in state.items():
            name = key.removesuffix(_FACTOR)
            if key.endswith(_FACTOR):
                self._moments[name] = Moment(factor_KI.to(past.device), float(state[name + _REACH]))

    @torch.no_grad()
    def observe(self, learned: Learned) -> None:
        """Add one task's moments; of modules that other tasks adapted, the old ones stay."""
        layers = {name: learned.network.get_submodule(name) for name in learned.modules}
        with _gram(layers) as grams:
            learned.show(self._settings.max_rows)
        for name, (gram_II, tokens) in grams.items():
            seen_II = gram_II / tokens
            if name in self._moments:
                past_KI = self._moments[name].factor_KI.to(gram_II)
                seen_II = seen_II + past_KI.T @ past_KI
            self._moments[name] = self._kept(seen_II, layers[name])

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that `recall` takes over."""
        tensors: dict[str, Tensor] = {}
        for name, moment in self._moments.items():
            tensors[name + _FACTOR] = moment.factor_KI.detach().cpu().contiguous()
            tensors[name + _REACH] = torch.tensor(moment.reach, dtype=torch.float64)
        return tensors

    def _kept(self, moment_II: Tensor, layer: Any) -> Moment:
        values, vectors = torch.linalg.eigh(moment_II)
        rank = min(self._settings.rank, len(values))
        factor_KI = (vectors[:, -rank:] * values[-rank:].clamp(min=0).sqrt()).T.to(torch.float32).contiguous()
        reach = float((outputs_first(layer, layer.weight.detach()).to(factor_KI) @ factor_KI.T).square().sum())
        return Moment(factor_KI, max(reach, _SMALLEST))

    def __getitem__(self, module: str) -> Moment:
        return self._moments[module]

    def __iter__(self) -> Iterator[str]:
        return iter(self._moments)

    def __len__(self) -> int:
        return len(self._moments)


@contextmanager
def _gram(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, tuple[Tensor, int]]]:
    """Sum ``x x'`` of every input that the layers see, in fp32 or wider."""
    grams: dict[str, tuple[Tensor, int]] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def see(_: nn.Module, args: tuple[Any, ...]) -> None:
            x_NI = args[0].detach().reshape(-1, args[0].shape[-1])
            x_NI = x_NI.to(torch.promote_types(x_NI.dtype, torch.float32))
            gram_II, tokens = grams.get(name, (None, 0))
            added_II = x_NI.T @ x_NI
            grams[name] = (added_II if gram_II is None else gram_II.add_(added_II), tokens + len(x_NI))

        return see

    handles = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    try:
        yield grams
    finally:
        for handle in handles:
            handle.remove()

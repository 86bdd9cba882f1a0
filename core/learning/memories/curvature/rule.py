"""Kronecker factors of the Fisher information: in which directions a layer's update would cost the tasks so far.

With x a layer's inputs and g the gradient of a row's loss with respect to its outputs, the loss of a task grows, for a
small update U of the layer and to second order (arXiv 1503.05671, 1805.07810), by about

    1/2 tr(U A U' G)          A = sum |g|^2 x x' / sum |g|^2          G = sum g g' / rows

summed over the tokens of all rows. A weighs each token by how much the answer depends on it: tokens that all prompts
begin with, and that no answer hangs on, may be treated anew; ``tr A tr G`` is the trace of the Fisher information. Over
tasks A is the mean and G the sum, so that the size does not grow with their number; of each the ``rank`` largest
directions are kept, from which no row can be read.

Shapes: I inputs and O outputs of a layer, K kept directions, N tokens.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from core.learning.memories.curvature.config import CurvatureSettings
from core.learning.memories.port import Learned, Past, SilentMemory

_INPUTS: Final = ".inputs"
_OUTPUTS: Final = ".outputs"
_TASKS: Final = ".tasks"


@dataclass(frozen=True, slots=True)
class Bend:
    """What is kept for one layer.

    Attributes:
        inputs_KI: a with ``a' a`` close to A.
        outputs_KO: b with ``b' b`` close to G.
        tasks: over how many tasks.
    """

    inputs_KI: Tensor
    outputs_KO: Tensor
    tasks: int


class Curvature(SilentMemory, Mapping[str, Bend]):
    """Factors by module name. Empty before the first task that was learned with this memory."""

    def __init__(self, settings: CurvatureSettings | None = None) -> None:
        self._settings = settings or CurvatureSettings.model_validate({})
        self._bends: dict[str, Bend] = {}

    def recall(self, past: Past) -> None:
        """Take over what the version keeps, for the modules that the task adapts too."""
        state = past.states.get("curvature", {})
        for key, inputs_KI in state.items():
            name = key.removesuffix(_INPUTS)
            if key.endswith(_INPUTS):
                outputs_KO = state[name + _OUTPUTS].to(past.device)
                self._bends[name] = Bend(inputs_KI.to(past.device), outputs_KO, int(state[name + _TASKS]))

    def observe(self, learned: Learned) -> None:
        """Add one task's curvature; of modules that other tasks adapted, the old one stays."""
        layers = {name: learned.network.get_submodule(name) for name in learned.modules}
        sums = {name: _Sums() for name in layers}
        with _outputs_of(layers) as seen:
            for loss in learned.row_losses(self._settings.max_rows):
                names = list(seen)
                gradients = torch.autograd.grad(loss, [seen[name][1] for name in names], allow_unused=True)
                for name, gradient in zip(names, gradients, strict=True):
                    if gradient is not None:
                        sums[name].add(seen[name][0], gradient)
                seen.clear()
                for each in sums.values():
                    each.rows += 1
        for name, each in sums.items():
            if each.weight > 0:
                self._bends[name] = self._with(self._bends.get(name), each)

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that `recall` takes over."""
        tensors: dict[str, Tensor] = {}
        for name, bend in self._bends.items():
            tensors[name + _INPUTS] = bend.inputs_KI.detach().cpu().contiguous()
            tensors[name + _OUTPUTS] = bend.outputs_KO.detach().cpu().contiguous()
            tensors[name + _TASKS] = torch.tensor(bend.tasks)
        return tensors

    @torch.no_grad()
    def _with(self, past: Bend | None, seen: "_Sums") -> Bend:
        inputs_II, outputs_OO = seen.inputs_II / seen.weight, seen.outputs_OO / seen.rows
        if past is None:
            return Bend(self._kept(inputs_II), self._kept(outputs_OO), 1)
        earlier_KI, earlier_KO = past.inputs_KI.to(inputs_II), past.outputs_KO.to(outputs_OO)
        inputs_II = (inputs_II + earlier_KI.T @ earlier_KI * past.tasks) / (past.tasks + 1)
        return Bend(self._kept(inputs_II), self._kept(outputs_OO + earlier_KO.T @ earlier_KO), past.tasks + 1)

    def _kept(self, moment_DD: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(moment_DD)
        rank = min(self._settings.rank, len(values))
        kept_KD: Tensor = (vectors[:, -rank:] * values[-rank:].clamp(min=0).sqrt()).T
        return kept_KD.to(torch.float32).contiguous()

    def __getitem__(self, module: str) -> Bend:
        return self._bends[module]

    def __iter__(self) -> Iterator[str]:
        return iter(self._bends)

    def __len__(self) -> int:
        return len(self._bends)


@dataclass(slots=True)
class _Sums:
    """What the rows of one task add up to for one layer."""

    inputs_II: Any = 0.0
    outputs_OO: Any = 0.0
    weight: float = 0.0
    rows: int = 0

    @torch.no_grad()
    def add(self, x: Tensor, gradient: Tensor) -> None:
        """Add the tokens of one row."""
        wide = torch.promote_types(x.dtype, torch.float32)
        x_NI, g_NO = x.reshape(-1, x.shape[-1]).to(wide), gradient.reshape(-1, gradient.shape[-1]).to(wide)
        weight_N1 = g_NO.square().sum(dim=1, keepdim=True)
        self.inputs_II = self.inputs_II + x_NI.T @ (x_NI * weight_N1)
        self.outputs_OO = self.outputs_OO + g_NO.T @ g_NO
        self.weight += float(weight_N1.sum())


@contextmanager
def _outputs_of(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Hold the input and the output of the layers' last call by name; their outputs are differentiable.

    The first layers' outputs depend on no parameter that learns: from them on, differentiation begins.
    """
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor]:
        def see(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
            output = output if output.requires_grad else output.requires_grad_()
            seen[name] = (args[0].detach(), output)
            return output

        return see

    handles = [layer.register_forward_hook(watch(name)) for name, layer in layers.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()

"""Diagonal Fisher information of the adapted weights: how much each mattered to the tasks so far (EWC).

Of each task the mean over rows of the squared gradient of a row's log-likelihood is added (the empirical Fisher, on
the row's own target). The size does not grow with the number of tasks, and no row can be read out of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from core.learning.memories.fisher.config import FisherSettings
from core.learning.memories.port import Learned, Past, SilentMemory
from core.weights.linear import outputs_first


class Fisher(SilentMemory, Mapping[str, Tensor]):
    """The information ``[O, I]`` by module name. Empty before the first task that was learned with this memory."""

    def __init__(self, settings: FisherSettings | None = None) -> None:
        self._settings = settings or FisherSettings.model_validate({})
        self._fisher: dict[str, Tensor] = {}

    def recall(self, past: Past) -> None:
        """Take over what the version keeps."""
        state = past.states.get("fisher", {})
        self._fisher = {name: fisher_OI.to(past.device, torch.float32) for name, fisher_OI in state.items()}

    def observe(self, learned: Learned) -> None:
        """Add one task's information; of modules that other tasks adapted, the old one stays."""
        weights = [learned.network.get_parameter(f"{name}.weight") for name in learned.modules]
        sums = [torch.zeros_like(weight, dtype=torch.float32) for weight in weights]
        rows = 0
        with _differentiable(weights):
            for loss in learned.row_losses(self._settings.max_rows):
                # A row may pass by a module, such as an expert that it does not choose: it says nothing about it.
                gradients = torch.autograd.grad(loss, weights, allow_unused=True)
                for total, gradient in zip(sums, gradients, strict=True):
                    if gradient is not None:
                        total.addcmul_(gradient.float(), gradient.float())
                rows += 1
        for name, total in zip(learned.modules, sums, strict=True):
            mean_OI = outputs_first(learned.network.get_submodule(name), total.div_(max(rows, 1)))
            self._fisher[name] = mean_OI.add_(self._fisher[name]) if name in self._fisher else mean_OI

    def state(self) -> dict[str, Tensor]:
        """Return the information by module name, in bf16: its order of magnitude is what counts."""
        return {name: fisher_OI.to("cpu", torch.bfloat16).contiguous() for name, fisher_OI in self._fisher.items()}

    def __getitem__(self, module: str) -> Tensor:
        return self._fisher[module]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fisher)

    def __len__(self) -> int:
        return len(self._fisher)


@contextmanager
def _differentiable(weights: Sequence[Tensor]) -> Iterator[None]:
    wanted = [weight.requires_grad for weight in weights]
    for weight in weights:
        weight.requires_grad_()
    try:
        yield
    finally:
        for weight, asked in zip(weights, wanted, strict=True):
            weight.requires_grad_(asked)

"""Diagonal Fisher information of the adapted weights: how much each mattered to the tasks so far (EWC).

Of each task the mean over rows of the squared gradient of a row's log-likelihood is added (the empirical Fisher, on
the row's own target). The size does not grow with the number of tasks, and no row can be read out of it.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from core.learning.memories.fisher.config import FisherSettings
from core.learning.memories.port import Learned, Past, SilentMemory


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
        wanted = [weight.requires_grad for weight in weights]
        for weight in weights:
            weight.requires_grad_()
        rows = 0
        for loss in learned.row_losses(self._settings.max_rows):
            for total, gradient in zip(sums, torch.autograd.grad(loss, weights), strict=True):
                total.addcmul_(gradient.float(), gradient.float())
            rows += 1
        for name, weight, asked, total in zip(learned.modules, weights, wanted, sums, strict=True):
            weight.requires_grad_(asked)
            mean_OI = total.div_(max(rows, 1))
            self._fisher[name] = mean_OI + self._fisher[name] if name in self._fisher else mean_OI

    def state(self) -> dict[str, Tensor]:
        """Return the information by module name, in bf16: its order of magnitude is what counts."""
        return {name: fisher_OI.to("cpu", torch.bfloat16).contiguous() for name, fisher_OI in self._fisher.items()}

    def __getitem__(self, module: str) -> Tensor:
        return self._fisher[module]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fisher)

    def __len__(self) -> int:
        return len(self._fisher)

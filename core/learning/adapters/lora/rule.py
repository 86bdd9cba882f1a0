"""Plain LoRA (Hu et al. 2021, arXiv 2106.09685) through PEFT: the update ``s B A`` is added as it is."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners import lora
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from core.learning.adapters.factors import ALL_ROWS, Factors, row_blocks
from core.learning.adapters.lora.config import LoraSettings
from core.learning.adapters.state import AdapterState
from core.learning.adapters.ungated import Ungated
from core.weights.linear import outputs_first


@dataclass(slots=True)
class LoraUpdate:
    """``s B A`` of one layer."""

    factors: Factors
    value_OI: Tensor
    rows: slice

    def add_gradient(self, gradient_OI: Tensor, *, weight: float = 1.0) -> None:
        """Add ``s B' G`` and ``s G A'`` to the factors' gradients."""
        self.factors.add_update_gradient(gradient_OI, self.rows, weight=weight)


@dataclass(frozen=True, slots=True)
class LoraView:
    """One adapted layer."""

    layer: lora.Linear
    low_rank: bool = True

    @property
    def factors(self) -> Factors:
        """A, B and their scale."""
        return Factors.of(self.layer)

    def row_blocks(self) -> Iterator[slice]:
        """Yield the rows of the weight in blocks."""
        base = self.layer.get_base_layer()
        return row_blocks(outputs_first(base, base.weight))

    def update(self, *, sparse: bool = False, rows: slice = ALL_ROWS) -> LoraUpdate:
        """Return the update; all of its entries are kept, ``sparse`` or not."""
        del sparse
        with torch.no_grad():
            factors = self.factors
            return LoraUpdate(factors, (factors.b_OR[rows] @ factors.a_RI).mul_(factors.scale), rows)


@dataclass(slots=True)
class Lora(Ungated):
    """The adapter kind ``lora``."""

    settings: LoraSettings
    sparse: bool = False
    _model: PeftModel | None = None
    _layers: dict[str, LoraView] = field(default_factory=dict)

    def attach(self, base: nn.Module) -> PeftModel:
        """Put fresh factors on ``base``: A kaiming-uniform, B zero."""
        targets = list(self.settings.target_modules or ())
        config = LoraConfig(
            r=self.settings.rank,
            lora_alpha=self.settings.alpha,
            target_modules=targets or None,
            fan_in_fan_out=_keep_inputs_first(base, targets),
        )
        model = get_peft_model(base, config)
        self._model = model
        named = model.base_model.model.named_modules()
        self._layers = {name: LoraView(module) for name, module in named if isinstance(module, lora.Linear)}
        return model

    def layers(self) -> dict[str, LoraView]:
        """Return the adapted layers by name."""
        return self._layers

    def deltas(self) -> Iterator[tuple[str, Tensor]]:
        """Yield ``s B A`` of each layer."""
        for name, view in self._layers.items():
            yield name, view.update().value_OI

    def detach(self) -> AdapterState:
        """Unload the adapter and return its factors."""
        model, self._model = self._model, None
        return AdapterState.taken_off(model)


def _keep_inputs_first(base: nn.Module, targets: list[str]) -> bool:
    """Say whether the target layers keep their weights ``[in, out]``, as PEFT must be told."""
    return any(
        isinstance(module, Conv1D) and any(name == each or name.endswith(f".{each}") for each in targets)
        for name, module in base.named_modules()
    )

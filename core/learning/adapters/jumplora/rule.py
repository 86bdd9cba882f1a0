"""JumpLoRA (arXiv 2604.16171) as an adapter kind: the tuner, its schedule, and its update read out entry by entry."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from peft import PeftModel, get_peft_model
from torch import Tensor, nn

from core.learning.adapters.factors import ALL_ROWS, Factors, row_blocks
from core.learning.adapters.jumplora.config import JumpLoraSettings
from core.learning.adapters.jumplora.gate import gated, gated_gradient, product
from core.learning.adapters.jumplora.layer import JumpLoraLinear
from core.learning.adapters.jumplora.model import JumpLoraModel, register
from core.learning.adapters.jumplora.peft_config import JumpLoraConfig
from core.learning.adapters.jumplora.schedule import GateSchedule
from core.learning.adapters.state import AdapterState
from core.weights.linear import outputs_first

_ADAPTER = "default"


@dataclass(slots=True)
class JumpLoraUpdate:
    """``s gain Delta`` of one layer; the gain is a constant to whoever penalises the update."""

    layer: JumpLoraLinear
    delta_OI: Tensor
    tau: float
    interpolation: float
    value_OI: Tensor
    rows: slice

    def add_gradient(self, gradient_OI: Tensor, *, weight: float = 1.0) -> None:
        """Add ``s B' (gain G)`` and ``s (gain G) A'`` to the factors' gradients; theta gets none."""
        if self.interpolation:
            gradient_OI = gated_gradient(gradient_OI, self.delta_OI, self.tau, self.interpolation)
        Factors.of(self.layer).add_update_gradient(gradient_OI, self.rows, weight=weight)


@dataclass(frozen=True, slots=True)
class JumpLoraView:
    """One adapted layer."""

    layer: JumpLoraLinear

    @property
    def factors(self) -> Factors:
        """A, B and their scale."""
        return Factors.of(self.layer, _ADAPTER)

    @property
    def low_rank(self) -> bool:
        """Whether the gate is still open."""
        return bool(self.layer.interpolation[_ADAPTER] == 0)

    def row_blocks(self) -> Iterator[slice]:
        """Yield the rows of the weight in blocks."""
        base = self.layer.get_base_layer()
        return row_blocks(outputs_first(base, base.weight))

    def update(self, *, sparse: bool = False, rows: slice = ALL_ROWS) -> JumpLoraUpdate:
        """Return the update at the current f; ``sparse`` counts any f over 0 as 1."""
        factors = self.factors
        delta_OI = product(factors.b_OR[rows], factors.a_RI)
        tau, f = self.layer.tau(_ADAPTER), self.layer.interpolation[_ADAPTER]
        if sparse and f > 0:
            f = 1.0
        value_OI = gated(delta_OI, tau, f).mul_(factors.scale) if f else delta_OI * factors.scale
        return JumpLoraUpdate(self.layer, delta_OI, tau, f, value_OI, rows)


@dataclass(slots=True)
class JumpLora:
    """The adapter kind ``jumplora``."""

    settings: JumpLoraSettings
    sparse: bool = True
    _model: PeftModel | None = None
    _layers: dict[str, JumpLoraView] = field(default_factory=dict)

    @property
    def tuner(self) -> JumpLoraModel:
        """The tuner, once the adapter is attached."""
        if self._model is None:
            raise RuntimeError("the adapter is not attached to a model")
        tuner: JumpLoraModel = self._model.base_model
        return tuner

    def attach(self, base: nn.Module) -> PeftModel:
        """Put a fresh adapter on ``base``: A kaiming-uniform, B zero, gate open."""
        register()
        settings = self.settings
        config = JumpLoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            target_modules=list(settings.target_modules or ()) or None,
            threshold_mode=settings.threshold,
            bandwidth=settings.bandwidth,
            initial_log_threshold=settings.initial_log_threshold,
        )
        model = get_peft_model(base, config)
        self._model = model
        self._layers = {name: JumpLoraView(layer) for name, layer in self.tuner.adapted().items()}
        return model

    def layers(self) -> dict[str, JumpLoraView]:
        """Return the adapted layers by name."""
        return self._layers

    def after_step(self, step: int, *, total_steps: int) -> None:
        """Start the thresholds at their step, or keep them to their density, then set the next forward pass's f."""
        schedule = GateSchedule.of(self.settings.first_interpolation, self.settings.final_interpolation, total_steps)
        if schedule.starts_after(step) or (self.settings.density is not None and schedule.has_started(step)):
            self._set_thresholds(last=step == total_steps)
        self.tuner.set_interpolation(schedule.interpolation_after(step))

    def settled(self) -> bool:
        """Return whether the gate is closed."""
        return self._interpolation() == 1

    def settle(self) -> None:
        """Close the gate; thresholds that have not started, or that follow a density, are set from here."""
        if self._interpolation() == 0 or self.settings.density is not None:
            self._set_thresholds(last=True)
        self.tuner.set_interpolation(1.0)

    @torch.no_grad()
    def figures(self) -> dict[str, float]:
        """Return ``sparsity``, the share of entries that the gate drops, and ``threshold``, its mean over groups."""
        taus = [float(theta.exp()) for theta in self.tuner.thresholds().values()]
        dropped = entries = 0
        if self._interpolation():
            for view in self._layers.values():
                delta_OI = view.layer.product(_ADAPTER)
                dropped += int((delta_OI.abs_() <= view.layer.tau(_ADAPTER)).sum())
                entries += delta_OI.numel()
        return {"sparsity": dropped / max(entries, 1), "threshold": sum(taus) / len(taus)}

    def state(self) -> dict[str, float]:
        """Return f."""
        return {"interpolation": self._interpolation()}

    def restore(self, state: Mapping[str, float]) -> None:
        """Take over f."""
        self.tuner.set_interpolation(state["interpolation"])

    def deltas(self) -> Iterator[tuple[str, Tensor]]:
        """Yield ``s Delta keep`` of each layer: what merging writes, whatever f is."""
        for name, view in self._layers.items():
            yield name, view.layer.gated_update(_ADAPTER, interpolation=1.0)

    def detach(self) -> AdapterState:
        """Unload the adapter and return its factors and thresholds."""
        model, self._model = self._model, None
        return AdapterState.taken_off(model)

    def _set_thresholds(self, *, last: bool) -> None:
        """Start the thresholds, or set them to the density: while steps follow a sample of the entries does for that."""
        if self.settings.density is None:
            self.tuner.start_thresholds()
        else:
            self.tuner.follow_density(self.settings.density, exactly=last)

    def _interpolation(self) -> float:
        return float(self.tuner.peft_config[_ADAPTER].interpolation)

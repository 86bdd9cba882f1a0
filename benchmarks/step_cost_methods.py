"""The methods whose step is timed, each as a learner whose schedule is held at one phase.

dense     f = 0: the gate is open
sparse    f = 1/2: the gate is half closed, its threshold started

Every method has rank 8 and adapts the same modules but full fine-tuning, which trains all linear layers. Those that are
presets have the preset's settings and a past as many earlier tasks leave it. The steps are the product's own:
`Learner.learn` of PEFT's LoRA is forward, backward, clip and AdamW, and nothing else.
"""

import copy
from collections.abc import Iterator
from typing import Any, Final, Literal

import torch
from accelerate import Accelerator
from torch import Tensor

from core.learning.adapters.full.config import FullSettings
from core.learning.adapters.full.rule import Full
from core.learning.adapters.jumplora.config import JumpLoraSettings
from core.learning.adapters.jumplora.rule import JumpLora
from core.learning.adapters.lora.config import LoraSettings
from core.learning.adapters.lora.rule import Lora
from core.learning.adapters.port import Adapter
from core.learning.catalogue.presets import PRESETS
from core.learning.learner import Learner, adamw
from core.learning.memories.input_moments.config import InputMomentsSettings
from core.learning.memories.input_moments.rule import InputMoments
from core.learning.memories.port import Past
from core.learning.memories.w_past.rule import WPast
from core.learning.objectives.drift.config import DriftSettings
from core.learning.objectives.drift.rule import Drift
from core.learning.objectives.ella.config import EllaSettings
from core.learning.objectives.ella.rule import Ella
from core.learning.objectives.port import Objective
from core.learning.training import Training
from core.weights import facts
from core.weights.delta import Delta

Phase = Literal["dense", "sparse"]

PHASES: Final[tuple[Phase, ...]] = ("dense", "sparse")
BASELINE: Final = "lora"
# Those that know no gate have but one phase; it stands in both.
GATED: Final = ("jumplora", "jumplora+ella", "jumplora+ella@paper")
METHODS: Final = (BASELINE, *GATED, "ella", "full")
# Far more steps than are taken, so that f moves by less than a millionth.
_FOREVER: Final = 10**9
# As B is after some tens of steps at the published rate: AdamW moves an entry by about the rate a step.
_TRAINED_B: Final = 0.02
_PAST_DENSITY: Final = 0.03
_KEPT_DIRECTIONS: Final = InputMomentsSettings.model_validate({}).rank


def learner(model: Any, method: str, phase: Phase) -> Learner:
    """Put the method on ``model`` and return its learner, ready to step in the phase."""
    torch.manual_seed(2)
    accelerator = Accelerator()
    targets = _default_targets(model)
    adapter = _adapter(method, model, targets, phase)
    trained = adapter.attach(model.to(accelerator.device)).train()
    if phase == "sparse" and isinstance(adapter, JumpLora):
        _half_close(adapter)
    objectives = list(_objectives(method, adapter, accelerator.device))
    forward, optimizer = accelerator.prepare(trained, adamw(trained, Training()))
    return Learner(
        model=trained,
        forward=forward,
        adapter=adapter,
        objectives=objectives,
        optimizer=optimizer,
        accelerator=accelerator,
        family=facts.family_of(model),
        max_grad_norm=1.0,
        total_steps=_FOREVER,
        has_past=bool(objectives),
        step=_FOREVER // 2 if phase == "sparse" else 0,
    )


def copy_for(model: Any, method: str) -> Any:
    """Return the model again, sharing its weights where the method leaves them alone."""
    shared = {} if method == "full" else {id(parameter): parameter for parameter in model.parameters()}
    return copy.deepcopy(model, shared)


def _adapter(method: str, model: Any, targets: tuple[str, ...], phase: Phase) -> Adapter:
    if method == "full":
        return Full(FullSettings(target_modules=tuple(facts.linear_modules(model))))
    if method not in GATED:
        return Lora(LoraSettings(target_modules=targets))
    first, final = (0.0, 1.0) if phase == "sparse" else (0.5, 1.0)
    held = {"target_modules": targets, "first_interpolation": first, "final_interpolation": final}
    return JumpLora(JumpLoraSettings.model_validate({**PRESETS[method].adapter_settings, **held}))


def _objectives(method: str, adapter: Adapter, device: torch.device) -> Iterator[Objective]:
    given = PRESETS[method].objectives if method in PRESETS else {}
    if "ella" in given:
        yield Ella(EllaSettings.model_validate(given["ella"]), w_past=_past(adapter, device))
    if "drift" in given:
        yield Drift(DriftSettings.model_validate(given["drift"]), input_moments=_moments(adapter, device))


def _default_targets(model: Any) -> tuple[str, ...]:
    return ("q", "v") if facts.family_of(model) == "seq2seq" else ("q_proj", "v_proj")


@torch.no_grad()
def _half_close(adapter: JumpLora) -> None:
    """Start the threshold on factors as training leaves them, and set f to 1/2."""
    for view in adapter.layers().values():
        view.factors.b_OR.normal_(std=_TRAINED_B)
    adapter.tuner.start_thresholds()
    adapter.restore({"interpolation": 0.5})


def _past(adapter: Adapter, device: torch.device) -> WPast:
    """Return the sum of sparse updates such as earlier tasks leave."""
    past = WPast()
    updates = {name: _sparse_update(view) for name, view in adapter.layers().items()}
    past.add(Delta.from_dense(updates, sparse=True), device=device)
    return past


def _moments(adapter: Adapter, device: torch.device) -> InputMoments:
    """Return moments of as many directions as are kept, of inputs of about one in size."""
    state = {}
    for name, view in adapter.layers().items():
        outputs, inputs = _shape(view)
        state[f"{name}.factor"] = torch.randn(_KEPT_DIRECTIONS, inputs) / _KEPT_DIRECTIONS**0.5
        state[f"{name}.reach"] = torch.tensor(float(outputs))
    moments = InputMoments()
    moments.recall(Past(chain=(), states={"input_moments": state}, modules=tuple(adapter.layers()), device=device))
    return moments


def _sparse_update(view: Any) -> Tensor:
    shape = _shape(view)
    return torch.randn(shape).mul_(0.01).mul_(torch.rand(shape) < _PAST_DENSITY)


def _shape(view: Any) -> tuple[int, int]:
    return len(view.factors.b_OR), view.factors.a_RI.shape[1]

"""JumpLoRA's configuration as PEFT saves it in ``adapter_config.json``."""

from dataclasses import dataclass, field
from typing import Final

from peft import LoraConfig

JUMPLORA: Final = "JUMPLORA"

# What changes or replaces base weights would neither stay out of a disabled adapter nor stand in a sparse update.
_INITS_THAT_CHANGE_THE_BASE: Final = ("pissa", "olora", "corda", "loftq", "lora_ga", "mica")
_TASKS_WITH_A_HEAD: Final = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")
_NOT_A_LINEAR_WEIGHT: Final = "an update holds the weights of linear layers and nothing else: leave it out"
_ANOTHER_METHOD: Final = "it is another method, and the gate cannot be combined with it: leave it out"
_REFUSED: Final = {
    "use_dora": "DoRA rescales the rows of a merged weight, where the gate leaves most entries alone: leave it False",
    "lora_bias": "an update of weights has no bias of its own: leave it False",
    "modules_to_save": _NOT_A_LINEAR_WEIGHT,
    "trainable_token_indices": _NOT_A_LINEAR_WEIGHT,
    "target_parameters": "layers are adapted as modules: name them in target_modules",
    "layer_replication": "replicated layers share one weight: leave it out",
    "ensure_weight_tying": "tied layers are not adapted: leave it False",
    "fan_in_fan_out": "each layer's own type says how its weight lies: leave it False",
    "megatron_config": "Megatron splits weights over devices: leave it out",
    "use_qalora": _ANOTHER_METHOD,
    "use_bdlora": _ANOTHER_METHOD,
    "alora_invocation_tokens": _ANOTHER_METHOD,
    "velora_config": _ANOTHER_METHOD,
    "monteclora_config": _ANOTHER_METHOD,
    "arrow_config": _ANOTHER_METHOD,
    "kasa_config": _ANOTHER_METHOD,
}


@dataclass
class JumpLoraConfig(LoraConfig):
    """LoRA's configuration and the gate's.

    Attributes:
        threshold_mode: one threshold for the model (``global``) or one for each transformer block (``per_block``).
        bandwidth: width eps of the window through which the threshold gets its gradient.
        initial_log_threshold: theta before its start; read as an fp32 number.
        interpolation: the gate's f: 0 is plain LoRA, 1 fully sparse. Saved, so that a finished adapter loads sparse.

    Raises:
        ValueError: an option of `LoraConfig` that the gate cannot honour, or a value out of its range.
    """

    threshold_mode: str = field(default="global", metadata={"help": "`global` or `per_block`."})
    bandwidth: float = field(default=1e-3, metadata={"help": "Width of the threshold's gradient window."})
    initial_log_threshold: float = field(default=-4.7, metadata={"help": "Log of the threshold before it is started."})
    interpolation: float = field(default=0.0, metadata={"help": "0 is plain LoRA, 1 fully sparse."})
    # PEFT picks a layer's variant by the flagged fields that are true; the gate is always on.
    use_jumplora: bool = field(default=True, metadata={"help": "Always true.", "is_lora_variant": True})

    def __post_init__(self) -> None:
        # Before PEFT's own checks, which ask for the packages of what is refused here.
        self._refuse_what_the_gate_cannot_honour()
        super().__post_init__()
        self.peft_type = JUMPLORA
        if self.threshold_mode not in {"global", "per_block"}:
            raise ValueError("threshold_mode must be 'global' or 'per_block'")
        if self.bandwidth <= 0 or not 0 <= self.interpolation <= 1:
            raise ValueError("bandwidth must be over 0, and interpolation from 0 to 1")
        if self.use_jumplora is not True:
            raise ValueError("use_jumplora is always true; plain LoRA is peft.LoraConfig")

    def _refuse_what_the_gate_cannot_honour(self) -> None:
        for option, reason in _REFUSED.items():
            if getattr(self, option):
                raise ValueError(f"JumpLoRA takes no `{option}`: {reason}")
        if self.bias != "none":
            raise ValueError("JumpLoRA trains no bias of the base model: leave bias='none'")
        if str(self.init_lora_weights).lower().startswith(_INITS_THAT_CHANGE_THE_BASE):
            raise ValueError(
                f"init_lora_weights={self.init_lora_weights!r} changes the base weights or starts from them, and the "
                "gate would cut the start as well: take True, 'gaussian', 'orthogonal' or 'eva'"
            )
        if self.task_type in _TASKS_WITH_A_HEAD:
            raise ValueError(
                f"task_type {self.task_type} trains a new head, and {_NOT_A_LINEAR_WEIGHT}; "
                "let the model write the label's words instead"
            )

"""JumpLoRA's configuration as PEFT saves it in ``adapter_config.json``."""

from dataclasses import dataclass, field
from typing import Final

from peft import LoraConfig

JUMPLORA: Final = "JUMPLORA"


@dataclass
class JumpLoraConfig(LoraConfig):
    """LoRA's configuration and the gate's.

    Attributes:
        threshold_mode: one threshold for the model (``global``) or one for each transformer block (``per_block``).
        bandwidth: width eps of the window through which the threshold gets its gradient.
        initial_log_threshold: theta before its start; read as an fp32 number.
        interpolation: the gate's f: 0 is plain LoRA, 1 fully sparse. Saved, so that a finished adapter loads sparse.
    """

    threshold_mode: str = field(default="global", metadata={"help": "`global` or `per_block`."})
    bandwidth: float = field(default=1e-3, metadata={"help": "Width of the threshold's gradient window."})
    initial_log_threshold: float = field(default=-4.7, metadata={"help": "Log of the threshold before it is started."})
    interpolation: float = field(default=0.0, metadata={"help": "0 is plain LoRA, 1 fully sparse."})
    # PEFT picks a layer's variant by the flagged fields that are true; the gate is always on.
    use_jumplora: bool = field(default=True, metadata={"help": "Always true.", "is_lora_variant": True})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = JUMPLORA
        if self.threshold_mode not in {"global", "per_block"}:
            raise ValueError("threshold_mode must be 'global' or 'per_block'")
        if self.lora_bias or self.fan_in_fan_out:
            raise ValueError("JumpLoRA adapts torch.nn.Linear without a bias of its own")
        if self.use_jumplora is not True:
            raise ValueError("use_jumplora is always true; plain LoRA is peft.LoraConfig")

"""The named methods: each a choice of parts, with the settings in which it differs from their defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from core.learning.strict import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A named method.

    Attributes:
        objectives: settings by objective; ``memories`` likewise, for the memories that the objectives bring.
        training: what the method trains with unless a task says otherwise.
    """

    summary: str
    adapter: str
    source: str
    objectives: Mapping[str, Settings] = field(default_factory=dict)
    adapter_settings: Settings = field(default_factory=dict)
    memories: Mapping[str, Settings] = field(default_factory=dict)
    composition: str = "merge_sequential"
    training: Settings = field(default_factory=dict)


DEFAULT_METHOD: Final = "jumplora+ella"
# A share of the weights in place of a threshold that learns: docs/decisions/0018.
_KEPT: Final[Settings] = {"density": 0.1}
# A rate that holds while the gate opens and falls while it closes: the same page.
_FALLING: Final[Settings] = {"learning_rate": 2e-3, "lr_schedule": "warmup_stable_decay", "decay_ratio": 0.5}
PRESETS: Final[dict[str, Preset]] = {
    DEFAULT_METHOD: Preset(
        summary="Sparse gated updates that keep off the weights of earlier tasks and leave their answers alone.",
        adapter="jumplora",
        adapter_settings=_KEPT,
        objectives={"ella": {}, "drift": {}},
        training=_FALLING,
        source="docs/decisions/0018-the-default-keeps-one-weight-in-ten.md",
    ),
    "jumplora+ella@paper": Preset(
        summary="Sparse gated updates that keep off the weights of earlier tasks, as published.",
        adapter="jumplora",
        objectives={"ella": {}},
        training={"learning_rate": 1e-3, "epochs": 1, "batch_size": 32},
        source="arXiv:2604.16171",
    ),
    "jumplora": Preset(summary="Sparse gated updates.", adapter="jumplora", source="arXiv:2604.16171"),
    "jumplora+ella+replay": Preset(
        summary="The default method, with some of the earlier tasks' rows seen again.",
        adapter="jumplora",
        adapter_settings=_KEPT,
        objectives={"ella": {}, "drift": {}, "replay": {}},
        training=_FALLING,
        source="arXiv:2604.16171",
    ),
    "ella": Preset(
        summary="Dense low-rank updates that keep off the weights of earlier tasks.",
        adapter="lora",
        objectives={"ella": {}},
        source="arXiv:2601.02232",
    ),
    "inclora": Preset(summary="Dense low-rank updates, merged one after another.", adapter="lora", source="baseline"),
    "seqlora": Preset(
        summary="One low-rank update, trained on from task to task.",
        adapter="lora",
        composition="continue",
        source="baseline",
    ),
    "olora": Preset(
        summary="Low-rank updates in directions orthogonal to those of earlier tasks.",
        adapter="lora",
        objectives={"olora": {}},
        source="arXiv:2310.14152",
    ),
    "nlora": Preset(
        summary="Low-rank updates kept sparse by an L1 penalty, so that tasks collide less.",
        adapter="lora",
        objectives={"l1_delta": {}},
        source="arXiv:2410.10179",
    ),
    "l2": Preset(
        summary="Low-rank updates kept small, which keeps the model near what it was.",
        adapter="lora",
        objectives={"l2_delta": {}},
        source="arXiv:2203.17269",
    ),
    "ewc": Preset(
        summary="Low-rank updates that spare the weights that mattered to earlier tasks (Fisher information).",
        adapter="lora",
        objectives={"ewc": {}},
        source="arXiv:1612.00796",
    ),
    "lwf": Preset(
        summary="Low-rank updates that keep what the model used to answer to the new task's rows.",
        adapter="lora",
        objectives={"lwf": {}},
        source="arXiv:1606.09282",
    ),
    "replay": Preset(
        summary="Low-rank updates, with some of the earlier tasks' rows seen again.",
        adapter="lora",
        objectives={"replay": {}},
        source="arXiv:1902.10486",
    ),
    "seqft": Preset(
        summary="All weights of the linear layers are trained, one task after another: no protection at all.",
        adapter="full",
        training={"learning_rate": 5e-5},
        source="baseline",
    ),
    "mtl": Preset(
        summary="One low-rank update from the base model on the rows of all tasks together: the upper bound.",
        adapter="lora",
        objectives={"joint": {}},
        composition="restart",
        source="baseline",
    ),
}

"""Every part of every learning method, by axis and name. A new one is a folder beside its like, and a line here."""

from typing import Final

from core.learning.part import AXES, Axis, PartInfo, read

_FOLDERS: Final = (
    "adapters.jumplora",
    "adapters.lora",
    "adapters.full",
    "objectives.ella",
    "objectives.drift",
    "objectives.laplace",
    "objectives.olora",
    "objectives.l1_delta",
    "objectives.l2_delta",
    "objectives.ewc",
    "objectives.lwf",
    "objectives.replay",
    "objectives.joint",
    "memories.w_past",
    "memories.input_moments",
    "memories.curvature",
    "memories.past_factors",
    "memories.last_factors",
    "memories.fisher",
    "memories.reservoir",
    "memories.every_row",
    "compositions.merge_sequential",
    "compositions.continued",
    "compositions.restart",
)

_ALL: Final = [read(folder) for folder in _FOLDERS]
PARTS: Final[dict[Axis, dict[str, PartInfo]]] = {
    axis: {part.name: part for part in _ALL if part.axis == axis} for axis in AXES
}

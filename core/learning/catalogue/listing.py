"""The list of methods as `GET /v1/methods` and `strata methods` show it."""

from typing import Any, Final

from core.learning.catalogue.parts import PARTS
from core.learning.catalogue.presets import DEFAULT_METHOD, PRESETS, Preset
from core.learning.part import Axis
from core.learning.recipe import Evaluation
from core.learning.training import Training

PAGE: Final = "docs/reference/methods.md"
# What a heading's anchor leaves out.
_NOT_IN_ANCHORS: Final = str.maketrans("", "", "+@")


def methods() -> list[dict[str, Any]]:
    """Return every preset: its parts, what they can and cost, and the JSON schema of all that a task may set."""
    return [_shown(name, preset) for name, preset in PRESETS.items()]


def memories_of(preset: Preset) -> tuple[str, ...]:
    """Return the memories that the preset's parts bring, each once."""
    parts = [PARTS["objective"][name] for name in preset.objectives] + [PARTS["composition"][preset.composition]]
    return tuple(dict.fromkeys(memory for part in parts for memory in part.memories))


def _shown(name: str, preset: Preset) -> dict[str, Any]:
    memories = memories_of(preset)
    used = [
        PARTS["adapter"][preset.adapter],
        PARTS["composition"][preset.composition],
        *(PARTS["objective"][objective] for objective in preset.objectives),
        *(PARTS["memory"][memory] for memory in memories),
    ]
    return {
        "name": name,
        "summary": preset.summary,
        "default": name == DEFAULT_METHOD,
        "adapter": preset.adapter,
        "objectives": sorted(preset.objectives),
        "memories": sorted(memories),
        "composition": preset.composition,
        "training": dict(preset.training),
        "capabilities": sorted(PARTS["adapter"][preset.adapter].provides),
        "stores_rows": any(part.stores_rows for part in used),
        "grows_with_tasks": any(part.grows_with_tasks for part in used),
        "schema": {
            "adapter": PARTS["adapter"][preset.adapter].settings.model_json_schema(),
            "objectives": _schemas("objective"),
            "memories": {memory: PARTS["memory"][memory].settings.model_json_schema() for memory in memories},
            "training": Training.model_json_schema(),
            "evaluation": Evaluation.model_json_schema(),
        },
        "source": preset.source,
        "page": f"{PAGE}#{name.translate(_NOT_IN_ANCHORS)}",
    }


def _schemas(axis: Axis) -> dict[str, Any]:
    return {name: part.settings.model_json_schema() for name, part in PARTS[axis].items()}

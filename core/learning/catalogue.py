"""Every learning method and every part of one: the list that the API, the trainer and the tests read. No torch.

A part has a configuration (pydantic, no torch) and a rule (torch), both named by import string; a preset is a choice
of parts. To add a part: its folder, and one entry in PARTS.
"""

import importlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from pydantic import ValidationError

from core.domain.base_facts import BaseFacts
from core.domain.errors import InvalidError, Place
from core.learning.adapters.config import LowRankSettings
from core.learning.recipe import Evaluation, Part, Recipe, Settings, Strict, TaskSpec, Training

Axis = Literal["adapter", "objective", "memory", "composition"]
Loc = tuple[str | int, ...]
PAGE: Final = "docs/reference/methods.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartInfo:
    """What is known of a part without loading torch.

    Attributes:
        config: import string ``module:Class`` of its settings; ``rule`` of its behaviour.
        provides: capabilities of an adapter; ``requires`` those that another part must find in it.
        memories: memories that the part cannot work without.
    """

    summary: str
    config: str
    rule: str
    source: str
    provides: frozenset[str] = frozenset()
    requires: frozenset[str] = frozenset()
    memories: tuple[str, ...] = ()

    def settings_class(self) -> type[Strict]:
        """Return the class of the part's settings; loads no torch."""
        return cast("type[Strict]", _imported(self.config))

    def rule_class(self) -> Any:
        """Return the class of the part's behaviour; loads torch."""
        return _imported(self.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A named method: its parts, with the settings in which it differs from their defaults."""

    summary: str
    adapter: str
    source: str
    objectives: Mapping[str, Settings] = field(default_factory=dict)
    adapter_settings: Settings = field(default_factory=dict)
    composition: str = "merge_sequential"


_ROOM: Final = "core.learning"
PARTS: Final[dict[Axis, dict[str, PartInfo]]] = {
    "adapter": {
        "jumplora": PartInfo(
            summary="LoRA whose product is gated entry by entry by a learned threshold: a sparse update.",
            config=f"{_ROOM}.adapters.jumplora.config:JumpLoraSettings",
            rule=f"{_ROOM}.adapters.jumplora.rule:JumpLora",
            source="arXiv:2604.16171",
            provides=frozenset({"linear_delta", "mergeable", "has_factors", "sparse_delta", "single_active"}),
        ),
        "lora": PartInfo(
            summary="Plain LoRA: a dense low-rank update.",
            config=f"{_ROOM}.adapters.lora.config:LoraSettings",
            rule=f"{_ROOM}.adapters.lora.rule:Lora",
            source="arXiv:2106.09685",
            provides=frozenset({"linear_delta", "mergeable", "has_factors"}),
        ),
    },
    "objective": {
        "ella": PartInfo(
            summary="Penalty on changing again the weights that earlier tasks changed.",
            config=f"{_ROOM}.objectives.ella.config:EllaSettings",
            rule=f"{_ROOM}.objectives.ella.rule:Ella",
            source="arXiv:2601.02232",
            requires=frozenset({"linear_delta"}),
            memories=("w_past",),
        ),
        "drift": PartInfo(
            summary="Penalty on changing what the layers answer to the inputs of earlier tasks.",
            config=f"{_ROOM}.objectives.drift.config:DriftSettings",
            rule=f"{_ROOM}.objectives.drift.rule:Drift",
            source="arXiv:2103.07113",
            requires=frozenset({"linear_delta"}),
            memories=("input_moments",),
        ),
    },
    "memory": {
        "w_past": PartInfo(
            summary="The sum of all earlier updates, read from the version's chain.",
            config=f"{_ROOM}.memories.w_past.config:WPastSettings",
            rule=f"{_ROOM}.memories.w_past.rule:WPast",
            source="arXiv:2601.02232",
        ),
        "input_moments": PartInfo(
            summary="Second moments of the inputs that earlier tasks gave to the adapted layers; no rows.",
            config=f"{_ROOM}.memories.input_moments.config:InputMomentsSettings",
            rule=f"{_ROOM}.memories.input_moments.rule:InputMoments",
            source="arXiv:2103.07113",
        ),
    },
    "composition": {
        "merge_sequential": PartInfo(
            summary="Each task's update is added to the weights once it is learned.",
            config=f"{_ROOM}.compositions.merge_sequential.config:MergeSequentialSettings",
            rule=f"{_ROOM}.compositions.merge_sequential.rule:MergeSequential",
            source="arXiv:2604.16171",
            requires=frozenset({"mergeable"}),
        ),
    },
}

DEFAULT_METHOD: Final = "jumplora+ella+drift"
PRESETS: Final[dict[str, Preset]] = {
    DEFAULT_METHOD: Preset(
        summary="Sparse gated updates that keep off the weights of earlier tasks and leave their answers alone.",
        adapter="jumplora",
        objectives={"ella": {}, "drift": {}},
        source="docs/decisions/0004-the-default-method-guards-outputs.md",
    ),
    "jumplora+ella": Preset(
        summary="Sparse gated updates that keep off the weights of earlier tasks.",
        adapter="jumplora",
        objectives={"ella": {}},
        source="arXiv:2604.16171",
    ),
    "jumplora": Preset(summary="Sparse gated updates.", adapter="jumplora", source="arXiv:2604.16171"),
    "ella": Preset(
        summary="Dense low-rank updates that keep off the weights of earlier tasks.",
        adapter="lora",
        objectives={"ella": {}},
        source="arXiv:2601.02232",
    ),
    "inclora": Preset(summary="Dense low-rank updates, merged one after another.", adapter="lora", source="baseline"),
}


def resolve(spec: TaskSpec, *, default_method: str, facts: BaseFacts) -> Recipe:
    """Return the complete method of a task.

    Args:
        spec: what the user posted.
        default_method: the preset that holds when the spec names none.
        facts: of the base model that will be trained.

    Raises:
        InvalidError: the settings are wrong in themselves or for this base model; ``places`` begin with ``spec``.
    """
    preset = _preset(spec.method or default_method)
    objectives = dict(preset.objectives)
    for name, settings in spec.objectives.items():
        objectives[name] = objectives.get(name, {}) | settings
    adapter = _settings("adapter", preset.adapter, preset.adapter_settings | spec.adapter, loc=("spec", "adapter"))
    parts = [
        Part(name=name, settings=_dump(_settings("objective", name, settings, loc=("spec", "objectives", name))))
        for name, settings in objectives.items()
    ]
    memories = dict.fromkeys(memory for part in parts for memory in PARTS["objective"][part.name].memories)
    _require_capabilities(preset, objectives)
    return Recipe(
        name=spec.method or default_method,
        adapter=Part(name=preset.adapter, settings=_dump(_fitted(adapter, facts))),
        objectives=tuple(parts),
        memories=tuple(
            Part(name=name, settings=_dump(_settings("memory", name, {}, loc=("spec",)))) for name in memories
        ),
        composition=Part(name=preset.composition, settings={}),
        training=_within_context(spec.training, facts),
        evaluation=Evaluation.model_validate(spec.evaluation),
        timeout_seconds=spec.timeout_seconds,
    )


def methods() -> list[dict[str, Any]]:
    """Return every preset as ``GET /v1/methods`` shows it."""
    return [
        {
            "name": name,
            "summary": preset.summary,
            "default": name == DEFAULT_METHOD,
            "adapter": preset.adapter,
            "objectives": sorted(preset.objectives),
            "composition": preset.composition,
            "capabilities": sorted(PARTS["adapter"][preset.adapter].provides),
            "schema": {
                "adapter": PARTS["adapter"][preset.adapter].settings_class().model_json_schema(),
                "objectives": {
                    objective: info.settings_class().model_json_schema()
                    for objective, info in PARTS["objective"].items()
                },
                "training": Training.model_json_schema(),
                "evaluation": Evaluation.model_json_schema(),
            },
            "source": preset.source,
            "page": f"{PAGE}#{name.replace('+', '')}",
        }
        for name, preset in PRESETS.items()
    ]


def parsed(axis: Axis, part: Part) -> Strict:
    """Return the settings of a recipe's part as its own class."""
    return PARTS[axis][part.name].settings_class().model_validate(part.settings)


def matching(modules: Iterable[str], target: str) -> list[str]:
    """Return the modules that a target names: by its whole name or by its end, as PEFT matches them."""
    return [name for name in modules if name == target or name.endswith(f".{target}")]


def _imported(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


def _dump(settings: Strict) -> Settings:
    return settings.model_dump(mode="json")


def _refuse(loc: Loc, message: str, hint: str | None = None) -> InvalidError:
    return InvalidError("the task's spec cannot be used", places=[Place(loc=loc, message=message, hint=hint)])


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise _refuse(("spec", "method"), "there is no such method", f"one of: {', '.join(PRESETS)}")
    return PRESETS[name]


def _settings(axis: Axis, name: str, given: Settings, *, loc: Loc) -> Strict:
    if name not in PARTS[axis]:
        raise _refuse(loc, f"there is no such {axis}", f"one of: {', '.join(PARTS[axis])}")
    try:
        return PARTS[axis][name].settings_class().model_validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        places = [Place(loc=(*loc, *fault["loc"]), message=fault["msg"]) for fault in error.errors(include_url=False)]
        raise InvalidError("the task's spec cannot be used", places=places) from error


def _require_capabilities(preset: Preset, objectives: Iterable[str]) -> None:
    provided = PARTS["adapter"][preset.adapter].provides
    for name in objectives:
        missing = PARTS["objective"][name].requires - provided
        if missing:
            wanted = ", ".join(sorted(missing))
            raise _refuse(("spec", "objectives", name), f"the adapter {preset.adapter} does not offer: {wanted}")


def _fitted(settings: Strict, facts: BaseFacts) -> LowRankSettings:
    """Return the adapter's settings with its targets named, checked against the base model's modules."""
    adapter = cast("LowRankSettings", settings)
    targets = adapter.target_modules or facts.default_targets
    adapted: dict[str, tuple[int, int]] = {}
    for place, target in enumerate(targets):
        names = matching(facts.modules, target)
        if not names:
            message = "names no linear module of the base model"
            hint = f"for example: {', '.join(facts.default_targets)}"
            raise _refuse(("spec", "adapter", "target_modules", place), message, hint)
        adapted |= {name: facts.modules[name] for name in names}
    smallest = min(min(shape) for shape in adapted.values())
    if adapter.rank > smallest:
        message = f"rank {adapter.rank} is over the smallest adapted dimension {smallest}"
        raise _refuse(("spec", "adapter", "rank"), message)
    return adapter.model_copy(update={"target_modules": tuple(targets)})


def _within_context(training: Training, facts: BaseFacts) -> Training:
    """Return the training settings with token limits that fit: defaults shrink, what a user asked is refused."""
    context = facts.context_tokens
    if training.max_source_tokens + training.max_target_tokens <= context:
        return training
    asked = training.model_fields_set & {"max_source_tokens", "max_target_tokens"}
    target = (
        training.max_target_tokens if "max_target_tokens" in asked else min(training.max_target_tokens, context // 4)
    )
    source = training.max_source_tokens if "max_source_tokens" in asked else context - target
    if asked == {"max_source_tokens"}:
        target = min(target, context - source)
    if source + target > context or min(source, target) < 1:
        message = f"source and target together are over the {context} tokens of the base model"
        raise _refuse(("spec", "training", max(asked, default="max_source_tokens")), message)
    return training.model_copy(update={"max_source_tokens": source, "max_target_tokens": target})

"""From what a user posts to a complete method, with every bad setting refused at its place. No torch."""

import json
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from core.domain.base_facts import BaseFacts
from core.domain.errors import InvalidError, Place
from core.learning import fitting
from core.learning.catalogue.parts import PARTS
from core.learning.catalogue.presets import PRESETS, Preset
from core.learning.fitting import Loc, refusal
from core.learning.part import Axis, PartInfo
from core.learning.recipe import Evaluation, Part, Recipe, TaskSpec
from core.learning.strict import Settings, Strict
from core.learning.training import Training


def resolve(spec: TaskSpec, *, default_method: str, facts: BaseFacts, may_store_rows: bool = False) -> Recipe:
    """Return the complete method of a task.

    Args:
        spec: what the user posted.
        default_method: the preset that holds when the spec names none.
        facts: of the base model that will be trained.
        may_store_rows: whether the model's policy lets a method keep rows of users' files.

    Raises:
        InvalidError: the settings are wrong in themselves or for this base model; ``places`` begin with ``spec``.
    """
    preset = _preset(spec.method or default_method)
    objectives = _merged(preset.objectives, spec.objectives)
    composition = spec.composition or preset.composition
    chosen = [
        _known("adapter", preset.adapter, ("spec", "method")),
        *(_known("objective", name, ("spec", "objectives", name)) for name in objectives),
        _known("composition", composition, ("spec", "composition")),
    ]
    memories = [PARTS["memory"][name] for name in dict.fromkeys(name for part in chosen for name in part.memories)]
    _require_combinable(chosen)
    _require_consent([*chosen, *memories], may_store_rows=may_store_rows)
    settings = _merged(preset.memories, _only_used(spec.memories, memories))
    adapter = _parsed(chosen[0], preset.adapter_settings | spec.adapter, loc=("spec", "adapter"))
    return Recipe(
        name=spec.method or default_method,
        adapter=_part(preset.adapter, fitting.adapter_on(adapter, facts)),
        objectives=tuple(
            _part(name, _parsed(PARTS["objective"][name], given, loc=("spec", "objectives", name)))
            for name, given in objectives.items()
        ),
        memories=tuple(
            _part(info.name, _parsed(info, settings.get(info.name, {}), loc=("spec", "memories", info.name)))
            for info in memories
        ),
        composition=_part(composition, _parsed(chosen[-1], {}, loc=("spec", "composition"))),
        training=fitting.within_context(_training(preset, spec.training), facts),
        evaluation=Evaluation.model_validate(spec.evaluation),
        timeout_seconds=spec.timeout_seconds,
    )


def training(spec: TaskSpec, *, default_method: str) -> Training:
    """Return the training settings of a task before they are fitted to a base model.

    Raises:
        InvalidError: there is no such method.
    """
    return _training(_preset(spec.method or default_method), spec.training)


def parsed(axis: Axis, part: Part) -> Strict:
    """Return the settings of a recipe's part as its own class."""
    return PARTS[axis][part.name].settings.model_validate(part.settings)


def _merged(of_preset: Mapping[str, Settings], given: Mapping[str, Settings]) -> dict[str, Settings]:
    names = dict.fromkeys([*of_preset, *given])
    return {name: of_preset.get(name, {}) | given.get(name, {}) for name in names}


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise refusal(("spec", "method"), "there is no such method", f"one of: {', '.join(PRESETS)}")
    return PRESETS[name]


def _known(axis: Axis, name: str, loc: Loc) -> PartInfo:
    if name not in PARTS[axis]:
        raise refusal(loc, f"there is no such {axis}", f"one of: {', '.join(PARTS[axis])}")
    return PARTS[axis][name]


def _parsed(info: PartInfo, given: Settings, *, loc: Loc) -> Strict:
    try:
        return info.settings.model_validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        # Settings are flat: below a field's name only places in a list count, not which member of a union was tried.
        places = [
            Place(
                loc=(*loc, *fault["loc"][:1], *(step for step in fault["loc"][1:] if isinstance(step, int))),
                message=fault["msg"],
            )
            for fault in error.errors(include_url=False)
        ]
        raise InvalidError("the task's spec cannot be used", places=places) from error


def _part(name: str, settings: Strict) -> Part:
    return Part(name=name, settings=settings.model_dump(mode="json"))


def _training(preset: Preset, given: Training) -> Training:
    """Return the training settings: the preset's own where the task says nothing."""
    said = given.model_dump(include=given.model_fields_set)
    return Training.model_validate(preset.training | said)


def _only_used(given: Mapping[str, Settings], memories: Iterable[PartInfo]) -> Mapping[str, Settings]:
    used = {info.name for info in memories}
    for name in given:
        _known("memory", name, ("spec", "memories", name))
        if name not in used:
            hint = f"the method's memories are: {', '.join(sorted(used)) or 'none'}"
            raise refusal(("spec", "memories", name), "this method does not use this memory", hint)
    return given


def _require_combinable(chosen: list[PartInfo]) -> None:
    adapter, *others = chosen
    for part in others:
        if missing := part.requires - adapter.provides:
            wanted = ", ".join(sorted(missing))
            raise refusal(_loc(part), f"the adapter {adapter.name} does not offer: {wanted}")
        if clash := [other.name for other in others if other.name in part.excludes]:
            raise refusal(_loc(part), f"cannot be combined with {', '.join(clash)}: {part.excludes_because}")


def _require_consent(parts: Iterable[PartInfo], *, may_store_rows: bool) -> None:
    for part in parts:
        if part.stores_rows and not may_store_rows:
            message = f"the memory {part.name} keeps rows of your files, which this model's policy does not allow"
            raise refusal(("spec", "method"), message, 'create the model with {"policy": {"store_rows": true}}')


def _loc(part: PartInfo) -> Loc:
    return ("spec", "objectives", part.name) if part.axis == "objective" else ("spec", part.axis)

"""What holds for every part of the catalogue and every setting of it."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from stream import parts_of

from core.domain.base_facts import BaseFacts
from core.domain.errors import InvalidError
from core.learning.catalogue.parts import PARTS
from core.learning.catalogue.presets import DEFAULT_METHOD, PRESETS
from core.learning.part import PartInfo
from core.learning.recipe import TaskSpec
from core.learning.resolution import resolve
from core.weights import base

EVERY_PART = [info for axis in PARTS.values() for info in axis.values()]
NUMBERS = [
    (info, name)
    for info in EVERY_PART
    for name, schema in info.settings.model_json_schema().get("properties", {}).items()
    if schema.get("type") in {"number", "integer"}
]


@pytest.fixture(scope="module")
def facts(folders: dict[str, Path]) -> BaseFacts:
    return base.load(folders["llama"]).facts


def said(info: PartInfo | tuple[PartInfo, str]) -> str:
    part, *names = info if isinstance(info, tuple) else (info,)
    return ".".join([part.name, *names])


@pytest.mark.parametrize("info", EVERY_PART, ids=said)
def test_settings_survive_json_and_their_schema_says_every_default(info: PartInfo) -> None:
    settings = info.settings()
    assert info.settings.model_validate_json(settings.model_dump_json()) == settings
    properties = info.settings.model_json_schema().get("properties", {})
    assert {name: schema["default"] for name, schema in properties.items()} == settings.model_dump(mode="json")
    assert info.settings.model_json_schema()["additionalProperties"] is False
    with pytest.raises(ValidationError):
        info.settings.model_validate({"unheard_of": 1})


@pytest.mark.parametrize("case", NUMBERS, ids=said)
@pytest.mark.parametrize("value", [-1e300, 1e300, float("nan"), "many", None])
def test_a_number_beyond_its_bounds_is_refused(case: tuple[PartInfo, str], value: Any) -> None:
    info, name = case
    with pytest.raises(ValidationError) as caught:
        info.settings.model_validate({name: value})
    assert caught.value.errors()[0]["loc"] == (name,)


@pytest.mark.parametrize("method", PRESETS)
def test_a_bad_setting_of_any_part_of_a_method_is_refused_at_its_place(method: str, facts: BaseFacts) -> None:
    for part in parts_of(method):
        if part.axis == "composition":
            continue
        bad: dict[str, Any] = {"unheard_of": 1}
        spec, loc = {
            "adapter": ({"adapter": bad}, ("spec", "adapter", "unheard_of")),
            "objective": ({"objectives": {part.name: bad}}, ("spec", "objectives", part.name, "unheard_of")),
            "memory": ({"memories": {part.name: bad}}, ("spec", "memories", part.name, "unheard_of")),
        }[part.axis]
        with pytest.raises(InvalidError) as caught:
            resolve(
                TaskSpec.model_validate({"method": method, **spec}),
                default_method=DEFAULT_METHOD,
                facts=facts,
                may_store_rows=True,
            )
        assert caught.value.places[0].loc == loc


@pytest.mark.parametrize("method", PRESETS)
def test_rows_are_kept_with_consent_only(method: str, facts: BaseFacts) -> None:
    spec = TaskSpec(method=method)
    resolve(spec, default_method=DEFAULT_METHOD, facts=facts, may_store_rows=True)
    if not any(part.stores_rows for part in parts_of(method)):
        resolve(spec, default_method=DEFAULT_METHOD, facts=facts, may_store_rows=False)
        return
    with pytest.raises(InvalidError) as caught:
        resolve(spec, default_method=DEFAULT_METHOD, facts=facts, may_store_rows=False)
    assert caught.value.places[0].loc == ("spec", "method")


@pytest.mark.parametrize("composition", ["continue", "restart"])
def test_full_fine_tuning_cannot_be_put_beside_the_weights(composition: str, facts: BaseFacts) -> None:
    with pytest.raises(InvalidError) as caught:
        resolve(TaskSpec(method="seqft", composition=composition), default_method=DEFAULT_METHOD, facts=facts)
    assert caught.value.places[0].loc == ("spec", "composition")


@pytest.mark.parametrize("info", EVERY_PART, ids=said)
def test_what_a_part_needs_is_offered_by_some_other(info: PartInfo) -> None:
    offered = {capability for adapter in PARTS["adapter"].values() for capability in adapter.provides}
    assert info.requires <= offered
    assert set(info.memories) <= set(PARTS["memory"])
    assert info.excludes <= {part.name for part in EVERY_PART}
    assert bool(info.excludes) == bool(info.excludes_because)
    assert info.rule_class()

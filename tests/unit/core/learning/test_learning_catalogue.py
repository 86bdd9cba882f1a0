import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from core.domain.base_facts import BaseFacts
from core.domain.errors import InvalidError
from core.learning.catalogue.listing import methods
from core.learning.catalogue.parts import PARTS
from core.learning.catalogue.presets import DEFAULT_METHOD, PRESETS
from core.learning.method import assemble
from core.learning.recipe import Recipe, TaskSpec
from core.learning.resolution import parsed, resolve
from core.learning.training import EarlyStopping, Training


def resolved(facts: BaseFacts, **spec: Any) -> Recipe:
    return resolve(TaskSpec.model_validate(spec), default_method=DEFAULT_METHOD, facts=facts, may_store_rows=True)


def place_of(facts: BaseFacts, **spec: Any) -> tuple[str | int, ...]:
    with pytest.raises(InvalidError) as caught:
        resolved(facts, **spec)
    return caught.value.places[0].loc


def test_an_empty_spec_is_the_default_method_with_every_setting_named(facts: BaseFacts) -> None:
    recipe = resolved(facts)
    assert recipe.name == DEFAULT_METHOD
    assert recipe.adapter.name == "jumplora"
    assert recipe.adapter.settings["target_modules"] == ["q_proj", "v_proj"]
    assert [part.name for part in recipe.objectives] == ["ella", "drift"]
    assert [part.name for part in recipe.memories] == ["w_past", "input_moments"]
    assert resolved(facts, method="jumplora+ella@paper").objectives == recipe.objectives[:1]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_resolves_survives_json_and_can_be_assembled(name: str, facts: BaseFacts) -> None:
    recipe = Recipe.model_validate_json(resolved(facts, method=name).model_dump_json())
    method = assemble(recipe)
    assert method.adapter.sparse == ("sparse_delta" in PARTS["adapter"][recipe.adapter.name].provides)
    assert [objective.name for objective in method.objectives] == [part.name for part in recipe.objectives]


def test_settings_of_parts_reach_the_recipe(facts: BaseFacts) -> None:
    recipe = resolved(
        facts,
        adapter={"rank": 4, "threshold": "per_block"},
        objectives={"ella": {"strength": 5}},
        training={"learning_rate": 2e-4},
    )
    assert recipe.adapter.settings["rank"] == 4
    assert recipe.adapter.settings["threshold"] == "per_block"
    assert parsed("objective", recipe.objectives[0]).model_dump() == {"strength": 5.0, "delta": "interpolated"}
    assert recipe.training.learning_rate == 2e-4


def test_an_objective_brings_the_memory_that_it_needs(facts: BaseFacts) -> None:
    recipe = resolved(facts, method="jumplora", objectives={"ella": {}})
    assert [part.name for part in recipe.memories] == ["w_past"]


@pytest.mark.parametrize(
    ("spec", "loc"),
    [
        ({"method": "magic"}, ("spec", "method")),
        ({"adapter": {"rank": 0}}, ("spec", "adapter", "rank")),
        ({"adapter": {"rank": 193}}, ("spec", "adapter", "rank")),
        ({"adapter": {"target_modules": ["q_proj", "nothing"]}}, ("spec", "adapter", "target_modules", 1)),
        ({"adapter": {"target_modules": []}}, ("spec", "adapter", "target_modules")),
        ({"method": "ella", "adapter": {"threshold": "global"}}, ("spec", "adapter", "threshold")),
        ({"adapter": {"first_interpolation": 0.9}}, ("spec", "adapter")),
        ({"objectives": {"magic": {}}}, ("spec", "objectives", "magic")),
        ({"objectives": {"ella": {"strength": -1}}}, ("spec", "objectives", "ella", "strength")),
        ({"adapter": {"target_modules": "(unclosed"}}, ("spec", "adapter", "target_modules")),
        ({"adapter": {"target_modules": r".*\.nothing"}}, ("spec", "adapter", "target_modules")),
        ({"adapter": {"target_modules": "(.*.*.*.*)*q"}}, ("spec", "adapter", "target_modules")),
        ({"memories": {"magic": {}}}, ("spec", "memories", "magic")),
        ({"method": "jumplora", "memories": {"fisher": {}}}, ("spec", "memories", "fisher")),
        ({"memories": {"input_moments": {"rank": 0}}}, ("spec", "memories", "input_moments", "rank")),
        ({"composition": "magic"}, ("spec", "composition")),
        ({"method": "jumplora", "composition": "continue"}, ("spec", "composition")),
        ({"method": "ella", "composition": "continue"}, ("spec", "composition")),
        ({"method": "mtl", "objectives": {"ewc": {}}}, ("spec", "composition")),
        ({"method": "seqft", "objectives": {"olora": {}}}, ("spec", "objectives", "olora")),
        ({"method": "seqft", "objectives": {"lwf": {}}}, ("spec", "objectives", "lwf")),
        ({"training": {"max_source_tokens": 4096}}, ("spec", "training", "max_source_tokens")),
    ],
)
def test_a_bad_setting_is_refused_with_its_place(
    spec: dict[str, Any], loc: tuple[str | int, ...], facts: BaseFacts
) -> None:
    assert place_of(facts, **spec) == loc


def test_every_linear_module_and_an_expression_are_written_out(facts: BaseFacts) -> None:
    assert resolved(facts, adapter={"target_modules": "all-linear"}).adapter.settings["target_modules"] == list(
        facts.modules
    )
    some = resolved(facts, adapter={"target_modules": r".*\.(q|k)_proj"}).adapter.settings["target_modules"]
    assert some == [name for name in facts.modules if name.endswith(("q_proj", "k_proj"))]


def test_what_keeps_rows_needs_the_models_consent(facts: BaseFacts) -> None:
    for method in ("replay", "mtl", "jumplora+ella+replay"):
        with pytest.raises(InvalidError) as caught:
            resolve(TaskSpec(method=method), default_method=DEFAULT_METHOD, facts=facts)
        assert caught.value.places[0].loc == ("spec", "method")
        assert "store_rows" in str(caught.value.places[0].hint)


def test_a_presets_training_holds_where_the_task_says_nothing(facts: BaseFacts) -> None:
    assert resolved(facts, method="seqft").training.learning_rate == 5e-5
    assert resolved(facts, method="seqft", training={"learning_rate": 1e-3}).training.learning_rate == 1e-3
    assert resolved(facts, method="seqft", training={"seed": 1}).training.learning_rate == 5e-5


def test_the_refusal_of_a_rank_says_what_it_exceeds(facts: BaseFacts) -> None:
    with pytest.raises(InvalidError) as caught:
        resolved(facts, adapter={"rank": 900})
    assert caught.value.places[0].message == "must be at most 192, the smallest adapted dimension"


@pytest.mark.parametrize(
    "training",
    [
        {"learning_rate": float("nan")},
        {"learning_rate": 0},
        {"batch_size": 0},
        {"max_steps": 0},
        {"precision": "int4"},
        {"fsdp": True},
        {"lr_schedule": "step"},
        {"lr_schedule": "warmup_stable_decay", "warmup_ratio": 0.6, "decay_ratio": 0.5},
        {"early_stopping": {"patience": 0}},
        {"early_stopping": {"folder": "/"}},
        {"unknown": 1},
        {"seed": -1},
    ],
)
def test_training_settings_are_strict_and_bounded(training: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TaskSpec.model_validate({"training": training})


def test_default_token_limits_shrink_to_a_small_context(facts: BaseFacts) -> None:
    small = facts.model_copy(update={"context_tokens": 64})
    assert resolved(small).training.max_source_tokens + resolved(small).training.max_target_tokens == 64
    asked = resolved(small, training={"max_target_tokens": 40}).training
    assert (asked.max_source_tokens, asked.max_target_tokens) == (24, 40)
    asked = resolved(small, training={"max_source_tokens": 60}).training
    assert (asked.max_source_tokens, asked.max_target_tokens) == (60, 4)


@pytest.mark.parametrize(("rows", "steps"), [(264, 83), (16, 20), (1280, 80), (5000, 313)])
def test_without_epochs_a_small_file_is_passed_over_more_often(rows: int, steps: int) -> None:
    assert Training(batch_size=16).steps(rows) == steps


def test_steps_are_epochs_over_the_rows_of_a_step() -> None:
    assert Training(epochs=2, batch_size=8).steps(60) == 15
    assert Training(epochs=3, batch_size=4, gradient_accumulation=2).steps(60, processes=2) == 12
    assert Training(epochs=1, batch_size=32).steps(5) == 1
    assert Training(epochs=2, batch_size=32).steps(5) == 2
    assert Training(max_steps=7).steps(60) == 7


def test_the_list_of_methods_describes_each_with_its_schema() -> None:
    listed = {method["name"]: method for method in methods()}
    assert set(listed) == set(PRESETS)
    jump = listed["jumplora+ella"]
    assert [name for name, method in listed.items() if method["default"]] == [DEFAULT_METHOD]
    assert "threshold" in jump["schema"]["adapter"]["properties"]
    assert "strength" in jump["schema"]["objectives"]["ella"]["properties"]
    assert "sparse_delta" in jump["capabilities"]
    for axis in PARTS.values():
        for info in axis.values():
            for setting in info.settings.model_json_schema().get("properties", {}).values():
                assert setting["description"]


def test_every_method_part_and_setting_stands_in_the_reference() -> None:
    page = (Path(__file__).parents[4] / "docs/reference/methods.md").read_text(encoding="utf-8")
    headings = {line.strip("# ") for line in page.splitlines() if line.startswith("### ")}
    assert set(PRESETS) | {name for axis in PARTS.values() for name in axis} == headings
    classes = [info.settings for axis in PARTS.values() for info in axis.values()]
    for settings in [*classes, Training, EarlyStopping]:
        assert [name for name in settings.model_fields if f"`{name}`" not in page] == []
    for method in methods():
        assert method["page"].partition("#")[2] in {heading.replace("+", "").replace("@", "") for heading in headings}


def test_the_catalogue_never_loads_torch() -> None:
    program = (
        "import sys; from core.learning.catalogue import listing; listing.methods(); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'peft', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

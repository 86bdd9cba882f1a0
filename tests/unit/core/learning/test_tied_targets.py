"""A layer that shares its weight with another cannot be adapted, and a task that asks for it is told so."""

import pytest

from core.domain.errors import InvalidError
from core.learning.recipe import TaskSpec
from core.learning.resolution import resolve
from core.weights import facts
from core.weights.base import LoadedBase


@pytest.mark.parametrize("targets", [["q_proj", "up_proj"], ["lm_head"], ".*up_proj"])
@pytest.mark.parametrize("loaded", ["llama"], indirect=True)
def test_a_task_on_tied_layers_is_refused_with_a_word_on_why(targets: object, loaded: LoadedBase) -> None:
    layers = loaded.model.model.layers
    layers[1].mlp.up_proj.weight = layers[0].mlp.up_proj.weight
    known = facts.read(loaded.model, loaded.tokenizer, digest="")
    spec = TaskSpec.model_validate({"adapter": {"target_modules": targets}})
    with pytest.raises(InvalidError) as refused:
        resolve(spec, default_method="jumplora", facts=known)
    (place,) = refused.value.places
    assert place.loc[:3] == ("spec", "adapter", "target_modules")
    assert place.hint is not None
    assert place.hint.endswith("layers that share their weight with another, are not adapted")


@pytest.mark.parametrize("loaded", ["llama"], indirect=True)
def test_all_linear_layers_leave_tied_ones_out(loaded: LoadedBase) -> None:
    layers = loaded.model.model.layers
    layers[1].mlp.up_proj.weight = layers[0].mlp.up_proj.weight
    known = facts.read(loaded.model, loaded.tokenizer, digest="")
    spec = TaskSpec.model_validate({"adapter": {"target_modules": "all-linear"}})
    recipe = resolve(spec, default_method="jumplora", facts=known)
    assert len(recipe.adapter.settings["target_modules"]) == 12  # type: ignore[arg-type]

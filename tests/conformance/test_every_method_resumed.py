"""Every preset, interrupted in its second task and taken up from the checkpoint, ends in the same bits."""

from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator
from stream import lineage_on, same, spec_of, task
from torch import Tensor

from core.learning.catalogue.presets import PRESETS
from core.learning.checkpoints import Checkpoints
from core.learning.lesson import Lesson, Survival, Watch
from core.learning.lineage import Lineage
from core.learning.trainer import CancelledError
from core.weights.delta import Delta


def lesson_on(lineage: Lineage, spec: dict[str, Any], *, stop_after: int = 10**9) -> Lesson:
    """Return the second task's lesson, which is asked to stop after so many steps."""
    recipe, asked = lineage.recipe(spec), iter(range(1, 10**9))
    return Lesson(
        recipe=recipe,
        network=lineage.network,
        tokenizer=lineage.tokenizer,
        family=lineage._facts.family,
        accelerator=Accelerator(cpu=True),
        chain=lineage.chain,
        pristine=lineage._pristine,
        states=lineage.states,
        own_rows=lineage._tokens(task(2), recipe.training),
        watch=Watch(stopping=lambda: next(asked) >= stop_after),
    )


def values(delta: Delta) -> dict[str, Tensor]:
    return {name: module.to_dense() for name, module in delta.modules.items()}


@pytest.mark.parametrize("family", ["llama", "t5"])
@pytest.mark.parametrize("method", PRESETS)
def test_an_interrupted_task_ends_in_the_bits_of_an_uninterrupted_one(
    method: str, family: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    spec = spec_of(method)
    straight = lineage_on(folders[family], method)
    first = straight.learn(task(1), spec=spec)
    states, chain = dict(straight.states), list(straight.chain)
    wanted = values(straight.learn(task(2), spec=spec))

    checkpoints = Checkpoints(tmp_path, "one run")
    for stop_after in (2, 10**9):
        again = lineage_on(folders[family], method)
        again._merge(first)
        again.chain, again.states = list(chain), dict(states)
        lesson = lesson_on(again, spec, stop_after=stop_after)
        if stop_after == 2:
            with pytest.raises(CancelledError):
                lesson.learn(Survival(checkpoints=checkpoints))
            assert (tmp_path / "step-2").exists()
    delta, _ = lesson.learn(Survival(checkpoints=checkpoints))
    assert same(values(delta), wanted)
    again._merge(delta)
    remembered = again.states | lesson.remember()
    assert remembered.keys() == straight.states.keys()
    for name, state in remembered.items():
        assert same(state, straight.states[name])

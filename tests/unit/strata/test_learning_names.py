import re
import textwrap

import torch

import strata.learning
from tests.unit.core.learning.conftest import causal_batch, llama


def test_the_recipe_of_the_docstring_runs_as_it_stands() -> None:
    (recipe,) = re.findall(r"::\n\n(.*?)\n\nThe tuner", strata.learning.__doc__ or "", flags=re.DOTALL)
    base = llama(torch.float32)
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    names = {"base": base, "batches": [causal_batch(seed) for seed in range(6)], "print": lambda *_: None}
    exec(textwrap.dedent(recipe), names)
    changed = {name for name, tensor in names["base"].state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {f"{module}.weight" for module in names["delta"].modules}
    assert set(names["past"]) == set(names["delta"].modules)


def test_every_public_name_is_there() -> None:
    assert all(hasattr(strata.learning, name) for name in strata.learning.__all__)

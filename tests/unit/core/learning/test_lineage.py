from pathlib import Path

import pytest
import torch

from core.domain.job_folder import Event
from core.learning.lineage import Lineage
from core.learning.rows import Row
from core.learning.trainer import CancelledError
from core.weights import base

TASK = [Row(f"Number {n}. Answer:", " yes") for n in range(8)]
SPEC = {"training": {"max_steps": 4, "batch_size": 4}}


@pytest.mark.parametrize("method", ["jumplora+ella+drift", "seqlora", "seqft", "mtl"])
def test_a_task_that_breaks_off_leaves_the_network_as_the_last_task_left_it(method: str, llama_folder: Path) -> None:
    loaded = base.load(llama_folder)
    lineage = Lineage(loaded.model, loaded.tokenizer, method=method, device="cpu")
    lineage.learn(TASK, spec=SPEC)
    before = {name: tensor.clone() for name, tensor in lineage.network.state_dict().items()}

    def break_off(_: Event) -> None:
        raise CancelledError("enough")

    with pytest.raises(CancelledError):
        lineage.learn(TASK, spec=SPEC, report=break_off)
    after = lineage.network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert len(lineage.chain) == 1
    lineage.learn(TASK, spec=SPEC)

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


@pytest.mark.parametrize("method", ["jumplora+ella", "seqlora", "seqft", "mtl"])
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


@pytest.mark.parametrize("method", ["jumplora+ella", "seqlora", "replay", "mtl"])
def test_a_saved_lineage_goes_on_as_if_it_had_not_been_left(method: str, llama_folder: Path, tmp_path: Path) -> None:
    def opened() -> Lineage:
        loaded = base.load(llama_folder)
        return Lineage(loaded.model, loaded.tokenizer, method=method, device="cpu")

    first = opened()
    for n in range(2):
        first.learn(TASK, spec=SPEC)
        first.save(tmp_path / str(n))
    second = opened()
    second.resume([tmp_path / "0", tmp_path / "1"])
    for lineage in (first, second):
        lineage.learn(TASK[:5], spec=SPEC)
    after = second.network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in first.network.state_dict().items())

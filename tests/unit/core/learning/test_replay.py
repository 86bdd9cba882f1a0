import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.replay import replay
from tests.unit.core.learning.conftest import causal_batch, llama, seq2seq_batch, t5
from tests.unit.core.learning.naive_run import NaiveRun

SETTINGS = {
    "rank": 2,
    "alpha": 8,
    "learning_rate": 5e-3,
    "ella_lambda": 200.0,
    "steps_per_task": 12,
    "tasks": 2,
    "max_grad_norm": 1.0,
    "log_threshold_init": -4.7,
    # Wide enough for thousands of entries to lie in the windows, which overlap for small thresholds.
    "bandwidth": 0.03,
}
LLAMA = [f"model.layers.{n}.self_attn.{name}" for n in range(2) for name in ("q_proj", "v_proj")]
T5 = [
    *(f"encoder.block.{n}.layer.0.SelfAttention.{name}" for n in range(2) for name in "qv"),
    *(
        f"decoder.block.{n}.layer.{place}.{name}"
        for n in range(2)
        for place, kind in ((0, "SelfAttention"), (1, "EncDecAttention"))
        for name in (f"{kind}.q", f"{kind}.v")
    ),
]
CASES: dict[str, dict[str, Any]] = {
    "global": {"threshold_mode": "global", "delta_mode": "interpolated", "ramp": (0.2, 0.8)},
    "per_block": {"threshold_mode": "per_block", "delta_mode": "sparse", "ramp": (0.1, 0.5)},
}


@pytest.mark.parametrize("family", ["causal", "seq2seq"])
@pytest.mark.parametrize("case", CASES)
def test_a_lineage_is_learned_as_autograd_and_sorting_learn_it(case: str, family: str, tmp_path: Path) -> None:
    first, final = CASES[case]["ramp"]
    causal = family == "causal"
    settings = (
        SETTINGS
        | CASES[case]
        | {
            "family": family,
            "target_modules": ["q_proj", "v_proj"] if causal else ["q", "v"],
            "modules": LLAMA if causal else T5,
            "first_interpolation": first,
            "final_interpolation": final,
        }
    )
    base = llama() if causal else t5()
    start = copy.deepcopy(base)
    torch.manual_seed(7)
    naive = NaiveRun(settings, base.train(), causal_batch if causal else seq2seq_batch)
    for task in (1, 2):
        naive.learn(task)
    naive.write(tmp_path / "trace", start)

    replay(tmp_path / "trace", tmp_path / "out")

    log = json.loads((tmp_path / "out" / "log.json").read_text())
    assert len(log) == len(naive.log)
    for got, want in zip(log, naive.log, strict=True):
        for figure, value in want.items():
            assert got[figure] == pytest.approx(value, rel=1e-6, abs=1e-9), (want["task"], want.get("step"), figure)
    weights = load_file(tmp_path / "out" / "weights.safetensors")
    assert weights.keys() == naive.weights.keys()
    for name, weight in naive.weights.items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-9, atol=1e-9)
    moved = [record["log_threshold"] for record in log if record["task"] == 2 and not record.get("end")]
    assert moved[-1] != moved[-3]
    assert log[-2]["ella_loss"] > 0

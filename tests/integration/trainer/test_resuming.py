"""Every way of learning ends, interrupted and resumed, in the same bits; and what ends a run early."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from job_folders import SMALL, Lineage, curve
from safetensors.torch import load_file
from test_task_run import reload, run, run_until

from core.domain.errors import InvalidError
from core.domain.job_folder import Event, JobFolder, ProgressEvent, ScoreEvent
from core.domain.manifest import DELTA_FILE

STEPS = SMALL["training"] | {"max_steps": 6}
STOPPING = {"early_stopping": {"patience": 2, "every_steps": 1, "max_rows": 4}}


def training(**settings: Any) -> dict[str, Any]:
    return {"training": STEPS | settings}


WAYS: dict[str, dict[str, Any]] = {
    "inclora": {"method": "inclora"},
    "jumplora+ella": {"method": "jumplora+ella"},
    "seqlora": {"method": "seqlora"},
    "lwf": {"method": "lwf"},
    "replay": {"method": "replay"},
    "seqft": {"method": "seqft"} | training(learning_rate=1e-3),
    "cosine": training(lr_schedule="cosine", warmup_ratio=0.4),
    "grouped lengths": training(group_by_length=True),
    "activations formed again": training(gradient_checkpointing=True),
    "early stopping": training(learning_rate=5e-2, **STOPPING),
    "early stopping, no gate": {"method": "inclora"} | training(learning_rate=5e-2, **STOPPING),
}


def lineage_of(root: Path, base_path: Path, spec: dict[str, Any]) -> Lineage:
    return Lineage(root, base_path, spec=SMALL | {"training": STEPS} | spec)


@pytest.mark.parametrize("way", WAYS)
def test_a_run_with_a_past_that_was_interrupted_ends_in_the_same_bits(
    way: str, llama_folder: Path, tmp_path: Path
) -> None:
    whole, broken = (lineage_of(tmp_path / name, llama_folder, WAYS[way]) for name in ("whole", "broken"))
    first = whole.stage("first")
    run(first)
    for lineage in (whole, broken):
        lineage.finish(first)
    straight, halting = whole.stage("second"), broken.stage("second")
    told = run(straight)
    run_until(halting, 2)
    resumed = run(halting)
    assert_same_files(straight, halting)
    assert kept(straight) == [event for event in resumed if isinstance(event, ScoreEvent)]
    assert whole.finish(straight).digest == broken.finish(halting).digest
    for series in ("loss", "learning_rate"):
        assert curve(resumed, series)[-1] == curve(told, series)[-1]


def assert_same_files(one: JobFolder, two: JobFolder) -> None:
    names = [path.relative_to(one.out) for path in one.out.rglob("*.safetensors")]
    assert Path(DELTA_FILE) in names
    for name in names:
        tensors, others = load_file(one.out / name), load_file(two.out / name)
        assert tensors.keys() == others.keys()
        assert all(torch.equal(tensor, others[key]) for key, tensor in tensors.items())


def kept(folder: JobFolder) -> list[ScoreEvent]:
    return [ScoreEvent.model_validate(score) for score in json.loads((folder.out / "scores.json").read_text())]


def steps_of(told: list[Event]) -> list[int]:
    return [event.step for event in told if isinstance(event, ProgressEvent) and event.values]


@pytest.mark.parametrize("method", ["inclora", "jumplora"])
def test_a_run_that_overfits_ends_early_with_the_loss_of_its_best_state(
    method: str, llama_folder: Path, tmp_path: Path
) -> None:
    spec = {"method": method} | training(max_steps=60, learning_rate=5e-2, **STOPPING)
    lineage = lineage_of(tmp_path, llama_folder, spec)
    folder = lineage.stage("first")
    told = run(folder)
    losses = curve(told, "held_out_loss")
    assert steps_of(told)[-1] == len(losses) < 60
    manifest = lineage.finish(folder)
    if method == "jumplora":
        # Its patience ran out while the gate was still closing: the state that stays is the one that was closed at once.
        assert curve(told, "sparsity")[-1] == pytest.approx(1 - manifest.delta.density, abs=1e-3)
    else:
        assert min(losses) < losses[-1]
    reload(lineage, manifest)


def test_the_state_that_is_published_is_the_best_one(llama_folder: Path, tmp_path: Path) -> None:
    """Training for as many steps as the best state had leaves the same delta, where nothing depends on the end."""
    spec = {"method": "inclora"} | training(max_steps=60, learning_rate=5e-2, **STOPPING)
    stopped = lineage_of(tmp_path / "stopped", llama_folder, spec).stage("first")
    losses = curve(run(stopped), "held_out_loss")
    best_step = losses.index(min(losses)) + 1
    assert best_step < len(losses)
    plain = {"method": "inclora"} | training(max_steps=best_step, learning_rate=5e-2)
    short = lineage_of(tmp_path / "short", llama_folder, plain).stage("first")
    run(short)
    one, two = load_file(stopped.out / DELTA_FILE), load_file(short.out / DELTA_FILE)
    assert one.keys() == two.keys()
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_the_rate_is_a_curve(llama_folder: Path, tmp_path: Path) -> None:
    folder = lineage_of(tmp_path, llama_folder, training(lr_schedule="linear")).stage("first")
    assert curve(run(folder), "learning_rate")[-1] == pytest.approx(5e-3 / 6)


def test_early_stopping_without_held_out_rows_is_refused_in_words(llama_folder: Path, tmp_path: Path) -> None:
    folder = lineage_of(tmp_path, llama_folder, training(**STOPPING)).stage("first")
    (folder.data / "eval-task_1.jsonl").write_text("")
    with pytest.raises(InvalidError, match="needs held-out rows"):
        run(folder)

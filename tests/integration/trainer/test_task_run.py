"""The life of tasks, in this process: every method, both families, interrupted and not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from job_folders import SMALL, Lineage, curve, scores
from safetensors.torch import load_file, save_file

from core.domain.errors import CorruptError
from core.domain.job_folder import CheckpointEvent, Event, JobFolder, PhaseEvent, ScoreEvent
from core.domain.manifest import CANARY_FILE, DELTA_FILE, Manifest
from core.domain.trainer_spec import TrainerSpec
from core.learning.catalogue.parts import PARTS
from core.learning.catalogue.presets import PRESETS
from core.learning.divergence import DivergedError
from core.learning.fitting import matching
from core.learning.task_run import TaskRun
from core.learning.trainer import CancelledError
from core.weights import base, canary, fold
from core.weights.delta import Delta
from tests.tiny_models import tiny_llama


def run(folder: JobFolder, *, stopping: Callable[[list[Event]], bool] = lambda _: False) -> list[Event]:
    told: list[Event] = []
    spec = TrainerSpec.model_validate_json(folder.spec.read_text())
    TaskRun.open(spec, folder, report=told.append, stopping=lambda: stopping(told)).run()
    return told


def run_until(folder: JobFolder, step: int) -> list[Event]:
    told: list[Event] = []
    spec = TrainerSpec.model_validate_json(folder.spec.read_text())
    seen = {"steps": 0}

    def stopping() -> bool:
        training = any(isinstance(event, PhaseEvent) and event.phase == "training" for event in told)
        seen["steps"] += training
        return seen["steps"] >= step

    with pytest.raises(CancelledError):
        TaskRun.open(spec, folder, report=told.append, stopping=stopping).run()
    return told


def lineage_of(tmp_path: Path, base_path: Path, **spec: Any) -> Lineage:
    return Lineage(tmp_path, base_path, spec=SMALL | spec)


def reload(lineage: Lineage, manifest: Manifest) -> None:
    """Load the version as an engine would: the digest and the canary must be the published ones."""
    loaded = base.load(lineage.base_path)
    deltas = [Delta.load(done.out / DELTA_FILE, shapes=loaded.facts.modules) for done in lineage.done]
    folded = fold.fold(loaded.model, deltas)
    assert loaded.digest_with(folded) == manifest.digest
    fold.apply(loaded.model, folded)
    canary.check(lineage.done[-1].out / CANARY_FILE, loaded.model, loaded.tokenizer, loaded.facts.family)


@pytest.mark.parametrize("family", ["llama", "t5"])
@pytest.mark.parametrize("method", PRESETS)
def test_two_tasks_leave_versions_that_load_as_they_were_published(
    method: str, family: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lineage = lineage_of(tmp_path, request.getfixturevalue(f"{family}_folder"), method=method)
    first_folder = lineage.stage("first")
    first_told = run(first_folder)
    first = lineage.finish(first_folder)
    reload(lineage, first)
    second_folder = lineage.stage("second")
    second_told = run(second_folder)
    second = lineage.finish(second_folder)
    reload(lineage, second)

    sparse = "sparse_delta" in PARTS["adapter"][PRESETS[method].adapter].provides
    assert first.delta.format == second.delta.format == ("sparse" if sparse else "dense")
    assert (first.delta.density < 1) == sparse
    full = PRESETS[method].adapter == "full"
    targets = lineage.facts.modules if full else lineage.facts.default_targets
    assert set(first.delta.modules) == {name for target in targets for name in matching(lineage.facts.modules, target)}
    base_scores = [("base", "task_1", "exact_match"), ("base", "task_1", "option_likelihood")]
    assert scores(first_told) == [*base_scores, ("result", "task_1", "exact_match")]
    assert scores(second_told)[2:] == [("result", f"task_{n}", "exact_match") for n in (1, 2)]
    for objective in PRESETS[method].objectives:
        if PARTS["objective"][objective].rule_class().has_value:
            needs_past = objective not in {"l1_delta", "l2_delta"}
            assert (set(curve(first_told, f"{objective}_loss")) == {0.0}) == needs_past
            assert max(curve(second_told, f"{objective}_loss")) > 0


def test_the_published_weights_differ_from_the_base_in_the_deltas_entries_only(
    llama_folder: Path, tmp_path: Path
) -> None:
    lineage = lineage_of(tmp_path, llama_folder, method="jumplora")
    folder = lineage.stage("first")
    run(folder)
    delta = Delta.load(folder.out / DELTA_FILE)
    loaded = base.load(llama_folder)
    for name, tensor in fold.fold(loaded.model, [delta]).items():
        before = loaded.model.get_parameter(name)
        changed = (tensor != before).flatten().nonzero().flatten()
        indices = delta.modules[name.removesuffix(".weight")].indices
        assert indices is not None
        assert set(changed.tolist()) <= set(indices.tolist())


@pytest.mark.parametrize("stop_after", [1, 3, 8])
def test_an_interrupted_run_ends_in_the_same_bits_as_an_uninterrupted_one(
    stop_after: int, llama_folder: Path, tmp_path: Path
) -> None:
    spec = {"training": SMALL["training"] | {"gradient_accumulation": 2}}
    whole, broken = (lineage_of(tmp_path / name, llama_folder, **spec) for name in ("whole", "broken"))
    for lineage in (whole, broken):
        folder = lineage.stage("first")
        run(folder)
        lineage.finish(folder)
    straight, halting = whole.stage("second"), broken.stage("second")
    run(straight)
    stopped = run_until(halting, stop_after)
    assert [event.step for event in stopped if isinstance(event, CheckpointEvent)][-1] == stop_after
    told = run(halting)
    assert scored(told) == kept_scores(straight)
    for name in (DELTA_FILE, "adapter/adapter_model.safetensors", "memory/input_moments.safetensors"):
        tensors, others = load_file(straight.out / name), load_file(halting.out / name)
        assert tensors.keys() == others.keys()
        assert all(torch.equal(tensor, others[key]) for key, tensor in tensors.items())
    assert whole.finish(straight).digest == broken.finish(halting).digest


def scored(told: list[Event]) -> list[ScoreEvent]:
    return [event for event in told if isinstance(event, ScoreEvent)]


def kept_scores(folder: JobFolder) -> list[ScoreEvent]:
    return [ScoreEvent.model_validate(score) for score in json.loads((folder.out / "scores.json").read_text())]


def test_a_checkpoint_of_other_rows_is_passed_over(llama_folder: Path, tmp_path: Path) -> None:
    lineage = lineage_of(tmp_path, llama_folder)
    folder = lineage.stage("first")
    run_until(folder, 4)
    train = folder.data / "train.jsonl"
    train.write_text("".join(train.read_text().splitlines(keepends=True)[:-1]))
    told = run(folder)
    assert min(event.step for event in told if event.event == "progress") == 1


def test_a_damaged_checkpoint_is_passed_over(llama_folder: Path, tmp_path: Path) -> None:
    lineage = lineage_of(tmp_path, llama_folder)
    folder = lineage.stage("first")
    run_until(folder, 4)
    (tensors,) = folder.checkpoints.glob("step-*/tensors.safetensors")
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"x")
    told = run(folder)
    assert min(event.step for event in told if event.event == "progress") == 1


def test_a_parent_that_is_not_the_published_one_is_refused(llama_folder: Path, tmp_path: Path) -> None:
    folder = lineage_of(tmp_path, llama_folder).stage("first", parent_digest="0" * 64)
    with pytest.raises(CorruptError, match="parent"):
        run(folder)


def test_a_damaged_link_of_the_chain_is_refused(llama_folder: Path, tmp_path: Path) -> None:
    lineage = lineage_of(tmp_path, llama_folder)
    folder = lineage.stage("first")
    run(folder)
    lineage.finish(folder)
    second = lineage.stage("second")
    damaged = second.chain / "0" / DELTA_FILE
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    with pytest.raises(CorruptError, match=DELTA_FILE):
        run(second)
    assert not second.out.exists()


def test_weights_that_are_no_numbers_diverge_and_leave_nothing(tmp_path: Path) -> None:
    base_path = tiny_llama(tmp_path / "base")
    weights = load_file(base_path / "model.safetensors")
    weights["model.norm.weight"].fill_(float("nan"))
    save_file(weights, base_path / "model.safetensors", metadata={"format": "pt"})
    folder = lineage_of(tmp_path, base_path).stage("first")
    with pytest.raises(DivergedError):
        run(folder)
    assert not folder.out.exists()


def test_bf16_trains_with_fp32_master_weights(llama_folder: Path, tmp_path: Path) -> None:
    spec = {"training": SMALL["training"] | {"precision": "bf16"}}
    lineage = lineage_of(tmp_path, llama_folder, **spec)
    folder = lineage.stage("first")
    told = run(folder)
    reload(lineage, lineage.finish(folder))
    assert all(value == value for value in curve(told, "loss"))  # noqa: PLR0124 - NaN alone is unlike itself
    state = load_file(folder.out / "adapter" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}


def test_a_narrow_base_is_trained_wide_and_published_as_it_is_stored(tmp_path: Path) -> None:
    base_path = tiny_llama(tmp_path / "base", dtype=torch.bfloat16)
    lineage = lineage_of(tmp_path, base_path)
    for name in ("first", "second"):
        folder = lineage.stage(name)
        run(folder)
        reload(lineage, lineage.finish(folder))


def test_the_kept_adapter_is_the_delta_as_peft_loads_it(llama_folder: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    lineage = lineage_of(tmp_path, llama_folder, method="jumplora")
    folder = lineage.stage("first")
    run(folder)
    delta = Delta.load(folder.out / DELTA_FILE)
    loaded = base.load(llama_folder)
    model = PeftModel.from_pretrained(loaded.model, folder.out / "adapter")
    for name, layer in model.base_model.adapted().items():
        torch.testing.assert_close(layer.get_delta_weight("default"), delta.modules[name].to_dense())
    assert str(llama_folder) not in (folder.out / "adapter" / "adapter_config.json").read_text()

"""Two processes over gloo, started as `torchrun` starts them, against one process with as many rows a step."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from job_folders import SMALL, Lineage, curve, events, phases

from core.domain.errors import InvalidError
from core.domain.job_folder import ErrorEvent, Event, ExitCode, JobFolder, ScoreEvent
from core.domain.manifest import DELTA_FILE
from core.domain.trainer_spec import TrainerSpec
from core.learning.task_run import TaskRun
from core.weights.delta import Delta

PATIENCE_SECONDS = 150
PHASES = ("preparing", "training", "evaluating", "publishing")


def torchrun(folder: JobFolder, processes: int) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    with folder.log.open("ab") as log:
        done = subprocess.run(
            [*command, "-m", "worker.compute.trainer", str(folder.root)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    assert done.returncode == 0, folder.log.read_text()


def run(folder: JobFolder) -> None:
    spec = TrainerSpec.model_validate_json(folder.spec.read_text())
    with folder.events.open("a") as file:

        def report(event: Event) -> None:
            file.write(event.model_dump_json() + "\n")

        TaskRun.open(spec, folder, report=report, stopping=lambda: False).run()


def lineage_of(root: Path, base_path: Path, **training: Any) -> Lineage:
    spec = SMALL | {"method": "jumplora+ella", "training": SMALL["training"] | training}
    return Lineage(root, base_path, spec=spec)


def test_two_processes_learn_what_one_does_with_as_many_rows_a_step(llama_folder: Path, tmp_path: Path) -> None:
    # All 24 rows at every step: two processes get three micro-batches, the second one but one of them.
    alone = lineage_of(tmp_path / "alone", llama_folder, max_steps=5, batch_size=24)
    shared = lineage_of(tmp_path / "shared", llama_folder, max_steps=5, batch_size=8, gradient_accumulation=2)
    first = alone.stage("first")
    run(first)
    for lineage in (alone, shared):
        lineage.finish(first)

    straight, spread = alone.stage("second"), shared.stage("second")
    run(straight)
    torchrun(spread, 2)

    one, two = (Delta.load(folder.out / DELTA_FILE) for folder in (straight, spread))
    assert one.modules.keys() == two.modules.keys()
    assert one.density > 0
    for name, change in one.modules.items():
        torch.testing.assert_close(two.modules[name].to_dense(), change.to_dense(), rtol=0, atol=1e-6)
    told, expected = events(spread), events(straight)
    for series in ("ce_loss", "ella_loss", "grad_norm", "sparsity", "threshold"):
        assert curve(told, series)[-1] == pytest.approx(curve(expected, series)[-1], rel=1e-4)
    assert curve(told, "ella_loss")[-1] > 0
    assert curve(told, "sparsity")[-1] > 0
    assert scores(told) == pytest.approx(scores(expected), rel=1e-4)
    # The other process says nothing and publishes nothing.
    assert phases(told) == list(PHASES)
    assert shared.finish(spread).provenance.job_id == "job_2"


def test_sharded_weights_are_refused_in_words(llama_folder: Path, tmp_path: Path) -> None:
    folder = lineage_of(tmp_path, llama_folder).stage("first")
    done = subprocess.run(
        [sys.executable, "-m", "worker.compute.trainer", str(folder.root)],
        env=os.environ | {"ACCELERATE_USE_FSDP": "true"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == ExitCode.INVALID_SPEC
    (error,) = of_kind(events(folder), ErrorEvent)
    assert isinstance(error, ErrorEvent)
    assert error.code == "invalid_spec"
    assert "FSDP" in error.detail
    assert not folder.out.exists()


def test_fp16_on_a_cpu_is_refused_in_words(llama_folder: Path, tmp_path: Path) -> None:
    folder = lineage_of(tmp_path, llama_folder, precision="fp16").stage("first")
    with pytest.raises(InvalidError, match="CUDA"):
        run(folder)


def scores(told: list[Event]) -> dict[tuple[str, str | None, str], float]:
    return {
        (event.subject, event.task_id, event.metric): event.value for event in told if isinstance(event, ScoreEvent)
    }


def of_kind(told: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in told if isinstance(event, kind)]

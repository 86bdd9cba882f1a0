"""The life of a task on a CUDA device: what it publishes is what a CPU folds."""

from pathlib import Path

import pytest
import torch
from job_folders import SMALL, Lineage

from core.domain.job_folder import JobFolder
from core.domain.manifest import DELTA_FILE
from core.domain.trainer_spec import TrainerSpec
from core.learning.task_run import TaskRun
from core.weights import base, fold
from core.weights.delta import Delta


def run(folder: JobFolder) -> TaskRun:
    spec = TrainerSpec.model_validate_json(folder.spec.read_text())
    task_run = TaskRun.open(spec, folder, report=lambda _: None, stopping=lambda: False)
    task_run.run()
    return task_run


@pytest.mark.gpu
def test_three_steps_on_cuda_publish_the_digest_that_a_cpu_folds(llama_folder: Path, tmp_path: Path) -> None:
    assert torch.cuda.is_available(), "this test was asked for, and there is no CUDA device"
    lineage = Lineage(tmp_path, llama_folder, spec=SMALL | {"training": SMALL["training"] | {"max_steps": 3}})
    for name in ("first", "second"):
        folder = lineage.stage(name, device="cuda")
        assert run(folder).accelerator.device.type == "cuda"
        manifest = lineage.finish(folder)
        on_cpu = base.load(llama_folder)
        deltas = [Delta.load(done.out / DELTA_FILE, shapes=on_cpu.facts.modules) for done in lineage.done]
        folded = fold.fold(on_cpu.model, deltas)
        assert {tensor.device.type for tensor in folded.values()} == {"cpu"}
        assert on_cpu.digest_with(folded) == manifest.digest

"""Replay a reference trace of the published JumpLoRA code with the library's own classes, in float64.

    python -m benchmarks.replay TRACE_DIR --out OUT_DIR

TRACE_DIR holds `model/` (initial weights), `inputs.safetensors` (each task's A, each step's batch) and `trace.json`
(the settings). OUT_DIR receives `log.json`, one record a step and one a task's end, and `weights.safetensors` with
`task<t>.<module>.merged_weight`, to be compared with what the published code wrote.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from strata.learning import (
    Batch,
    Delta,
    Ella,
    EllaSettings,
    JumpLora,
    JumpLoraSettings,
    Learner,
    MergeSequential,
    StepFigures,
    Training,
    WPast,
    adamw,
)


@dataclass(slots=True)
class Replay:
    """One trace: its settings and inputs, the model that learns, and what is recorded."""

    settings: dict[str, Any]
    inputs: dict[str, Tensor]
    base: nn.Module
    past: WPast = field(default_factory=WPast)
    log: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)

    def run(self) -> None:
        """Learn all tasks of the trace."""
        for task in range(1, self.settings["tasks"] + 1):
            self.learn(task)

    def learn(self, task: int) -> None:
        """Learn one task from the trace's own start and batches, then merge and record it."""
        adapter = JumpLora(self._adapter_settings())
        model = adapter.attach(self.base).train()
        for name, view in adapter.layers().items():
            view.layer.lora_A["default"].weight.data.copy_(self.inputs[f"task{task}.{name}.A"])
        learner = self._learner(model, adapter)
        for step in range(self.settings["steps_per_task"]):
            self._record_step(task, adapter, learner.learn([self._batch(task, step)]))
        composition = MergeSequential()
        delta = composition.delta(adapter)
        self.base = model.unload()
        composition.merge(self.base, delta)
        self.past.add(delta)
        self._record_end(task, delta)

    def _adapter_settings(self) -> JumpLoraSettings:
        trace = self.settings
        return JumpLoraSettings(
            rank=trace["rank"],
            alpha=trace["alpha"],
            target_modules=tuple(trace["target_modules"]),
            threshold=trace["threshold_mode"],
            bandwidth=trace["bandwidth"],
            initial_log_threshold=trace["log_threshold_init"],
            first_interpolation=trace["first_interpolation"],
            final_interpolation=trace["final_interpolation"],
        )

    def _learner(self, model: Any, adapter: JumpLora) -> Learner:
        trace = self.settings
        penalty = EllaSettings(strength=trace["ella_lambda"], delta=trace["delta_mode"])
        return Learner(
            model=model,
            adapter=adapter,
            objectives=[Ella(penalty, w_past=self.past)],
            optimizer=adamw(model, Training(learning_rate=trace["learning_rate"])),
            accelerator=Accelerator(cpu=True),
            family=trace["family"],
            max_grad_norm=trace["max_grad_norm"],
            total_steps=trace["steps_per_task"],
        )

    def _batch(self, task: int, step: int) -> Batch:
        fields = ("input_ids", "attention_mask", "labels")
        return Batch(*(self.inputs[f"task{task}.step{step}.{name}"] for name in fields))

    def _record_step(self, task: int, adapter: JumpLora, figures: StepFigures) -> None:
        self.log.append(
            {
                "task": task,
                "step": sum(1 for record in self.log if record["task"] == task) + 1,
                "ce_loss": figures.ce_loss,
                "ella_loss": figures.objectives["ella"],
                "grad_norm": figures.grad_norm,
                "interpolation_after": adapter.state()["interpolation"],
                "log_threshold": [float(theta.detach()) for theta in adapter.tuner.thresholds().values()],
            },
        )

    def _record_end(self, task: int, delta: Delta) -> None:
        nnz = {name: module.nnz for name, module in delta.modules.items()}
        numel = sum(module.shape[0] * module.shape[1] for module in delta.modules.values())
        self.log.append({"task": task, "end": True, "nnz": nnz, "numel": numel})
        for name in delta.modules:
            self.weights[f"task{task}.{name}.merged_weight"] = (
                self.base.get_parameter(f"{name}.weight").detach().clone()
            )


def replay(trace: Path, out: Path) -> None:
    """Replay the trace in folder ``trace`` and write what happened into ``out``."""
    settings = json.loads((trace / "trace.json").read_text())
    family = {"causal": AutoModelForCausalLM, "seq2seq": AutoModelForSeq2SeqLM}[settings["family"]]
    base = family.from_pretrained(trace / "model", dtype=torch.float64)
    run = Replay(settings, load_file(trace / "inputs.safetensors"), base)
    run.run()
    out.mkdir(parents=True, exist_ok=True)
    (out / "log.json").write_text(json.dumps(run.log, indent=1) + "\n")
    save_file(run.weights, out / "weights.safetensors")


def _arguments() -> Iterator[Path]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    yield from (given.trace, given.out)


if __name__ == "__main__":
    replay(*_arguments())

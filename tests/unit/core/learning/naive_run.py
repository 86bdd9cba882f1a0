"""Whole runs of JumpLoRA and ELLA by autograd and sorting, recorded as a reference trace is: the slow truth."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from core.learning.loss import Batch
from tests.unit.core.learning.naive import naive_update


class NaiveLinear(nn.Module):
    """A frozen linear layer and its gated update."""

    def __init__(self, base: nn.Linear, a: Tensor, theta: nn.Parameter, settings: dict[str, Any]) -> None:
        super().__init__()
        self.base, self.settings, self.f = base, settings, 0.0
        self.a, self.b = nn.Parameter(a), nn.Parameter(torch.zeros(base.out_features, len(a), dtype=a.dtype))
        self.theta = theta

    def update(self, f: float, theta: Tensor) -> Tensor:
        scale, bandwidth = self.settings["alpha"] / self.settings["rank"], self.settings["bandwidth"]
        return naive_update(self.a, self.b, theta, scale=scale, f=f, bandwidth=bandwidth)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.base.weight + self.update(self.f, self.theta), self.base.bias)


@dataclass
class NaiveRun:
    """Learns `tasks` tasks on a model and keeps what a trace keeps."""

    settings: dict[str, Any]
    base: Any
    batch: Any
    inputs: dict[str, Tensor] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    past: dict[str, Tensor] = field(default_factory=dict)

    def learn(self, task: int) -> None:
        layers = self._adapt(task)
        thetas = list({id(layer.theta): layer.theta for layer in layers.values()}.values())
        parameters = [p for layer in layers.values() for p in (layer.a, layer.b)] + thetas
        optimizer = torch.optim.AdamW(parameters, lr=self.settings["learning_rate"], weight_decay=0.0)
        for step in range(1, self.settings["steps_per_task"] + 1):
            batch = self._drawn(task, step)
            loss = self.base(
                input_ids=batch.input_ids_BT, attention_mask=batch.attention_mask_BT, labels=batch.labels_BT
            ).loss
            penalty = self._penalty(layers)
            optimizer.zero_grad()
            (loss + penalty).backward()
            norm = torch.nn.utils.clip_grad_norm_(parameters, self.settings["max_grad_norm"])
            optimizer.step()
            f = self._follow(layers, thetas, step)
            self.log.append(
                {
                    "task": task,
                    "step": step,
                    "ce_loss": float(loss.detach()),
                    "ella_loss": float(penalty.detach()),
                    "grad_norm": float(norm),
                    "interpolation_after": f,
                    "log_threshold": [float(theta.detach()) for theta in thetas],
                },
            )
        self._merge(task, layers)

    def write(self, trace: Path, start: Any) -> None:
        start.save_pretrained(trace / "model")
        save_file(self.inputs, trace / "inputs.safetensors")
        (trace / "trace.json").write_text(json.dumps(self.settings | {"log": self.log}))

    def _adapt(self, task: int) -> dict[str, NaiveLinear]:
        thetas: dict[str, nn.Parameter] = {}
        layers = {}
        for name in self.settings["modules"]:
            base = self.base.get_submodule(name)
            a = torch.randn(self.settings["rank"], base.in_features, dtype=torch.float64) * 0.3
            self.inputs[f"task{task}.{name}.A"] = a.clone()
            block = ".".join(name.split(".")[:3]) if self.settings["threshold_mode"] == "per_block" else ""
            start = torch.tensor([self.settings["log_threshold_init"]], dtype=torch.float32).double()
            theta = thetas.setdefault(block, nn.Parameter(start))
            layers[name] = NaiveLinear(base, a, theta, self.settings)
            self.base.set_submodule(name, layers[name])
        return layers

    def _drawn(self, task: int, step: int) -> Batch:
        batch: Batch = self.batch(100 * task + step)
        prefix = f"task{task}.step{step - 1}"
        self.inputs[f"{prefix}.input_ids"] = batch.input_ids_BT
        self.inputs[f"{prefix}.attention_mask"] = batch.attention_mask_BT
        self.inputs[f"{prefix}.labels"] = batch.labels_BT
        return batch

    def _penalty(self, layers: dict[str, NaiveLinear]) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for name, past in self.past.items():
            f = layers[name].f
            gate = float(f > 0) if self.settings["delta_mode"] == "sparse" else f
            update = layers[name].update(gate, layers[name].theta.detach())
            total = total + (update * past).square().sum()
        return total * self.settings["ella_lambda"] / max(len(self.past), 1)

    @torch.no_grad()
    def _follow(self, layers: dict[str, NaiveLinear], thetas: list[nn.Parameter], step: int) -> float:
        n = self.settings["steps_per_task"]
        s0, s1 = int(self.settings["first_interpolation"] * n), int(self.settings["final_interpolation"] * n)
        for theta in thetas if step == s0 else ():
            mine = [layer for layer in layers.values() if layer.theta is theta]
            magnitudes = torch.cat([(layer.b @ layer.a).abs().flatten() for layer in mine]).sort().values
            factors = sum(layer.a.numel() + layer.b.numel() for layer in mine)
            extra = 1 if self.settings["threshold_mode"] == "global" else 0
            theta.fill_(magnitudes[max(len(magnitudes) - factors + extra, 1) - 1].clamp(min=1e-12).log())
        f = min(max((step - s0) / (s1 - s0), 0.0), 1.0)
        for layer in layers.values():
            layer.f = f
        return f

    @torch.no_grad()
    def _merge(self, task: int, layers: dict[str, NaiveLinear]) -> None:
        nnz = {}
        for name, layer in layers.items():
            update = layer.update(1.0, layer.theta)
            nnz[name] = int(update.count_nonzero())
            layer.base.weight += update
            self.past[name] = self.past.get(name, 0) + update
            self.base.set_submodule(name, layer.base)
            self.weights[f"task{task}.{name}.merged_weight"] = layer.base.weight.detach().clone()
        self.log.append({"task": task, "end": True, "nnz": nnz})

"""Peak memory of a step, and the cost of the threshold's start: each in a new process of its own, as a trainer is.

On a CPU the peak is the process's largest resident set, libraries included; on CUDA what the allocator held at most.
"""

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from benchmarks import step_cost_methods, step_cost_models
from core.learning.adapters.jumplora.config import JumpLoraSettings
from core.learning.adapters.jumplora.rule import JumpLora

# The optimiser's state is there from the second step on.
_STEPS: Final = 2
# 36 matrices of 2048 x 2048: 151 million entries under one threshold.
_LAYERS: Final = 36
_WIDTH: Final = 2048


def alone(measure: Callable[..., Any], *arguments: Any) -> Any:
    """Return what ``measure`` does in a process of its own, with this one's number of threads."""
    # A forked process would take over the state of its parent's memory allocator, and with it another peak.
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, torch.set_num_threads, (torch.get_num_threads(),), maxtasksperchild=1) as pool:
        return pool.apply(measure, arguments)


def peak_bytes(model_name: str, method: str, phase: step_cost_methods.Phase) -> int:
    """Return the peak of this process after two steps."""
    model = step_cost_models.build(model_name)
    learner = step_cost_methods.learner(model, method, phase)
    batch = step_cost_models.batch_for(model)
    for _ in range(_STEPS):
        learner.learn([batch])
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else _resident_peak()


def threshold_start() -> dict[str, Any]:
    """Return the seconds that starting one threshold over 151 million entries takes, and the bytes beyond the model."""
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        base = nn.ModuleDict({f"layer{n}": nn.Linear(_WIDTH, _WIDTH, bias=False) for n in range(_LAYERS)})
    adapter = JumpLora(JumpLoraSettings(target_modules=tuple(base)))
    adapter.attach(base)
    for view in adapter.layers().values():
        nn.init.normal_(view.factors.b_OR, std=0.02)
    before, started = _memory_now(), time.perf_counter()
    adapter.tuner.start_thresholds()
    seconds = time.perf_counter() - started
    beyond = (torch.cuda.max_memory_allocated() if torch.cuda.is_available() else _resident_peak()) - before
    return {"entries": _LAYERS * _WIDTH * _WIDTH, "seconds": round(seconds, 3), "bytes_beyond_model": beyond}


def _memory_now() -> int:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    # proc(5): the peak begins anew from what is resident now.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _resident_peak()


def _resident_peak() -> int:
    # Of this program alone: what `getrusage` calls the peak is the parent's too, since it outlives the start of another.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024

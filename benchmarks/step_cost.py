"""What one optimiser step costs, in time and memory, against PEFT's LoRA on the same loss.

    python -m benchmarks.step_cost [--json] [--models ...] [--methods ...] [--seconds 120] [--rounds N] [--no-memory]

A step is the learner's whole step: forward, backward, penalty, clip, AdamW, schedule. The methods take turns, one step
each a round (LoRA, by which all are divided, three), in an order that is drawn anew every round, so that whatever else
the machine does meets them alike. A time is the lower quartile over the rounds, that of a step which little disturbed;
the ratio is that of the lower quartiles, with the 95 % interval of a bootstrap over rounds.

`--json` prints ``{"rows": [{"model", "phase", "method", "seconds", "peak_bytes", "time_ratio", "memory_ratio",
"time_ratio_interval"}], "threshold_start": ..., "settings": ..., "device": ...}``; without it there is a table.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from benchmarks import figures, step_cost_memory, step_cost_models
from benchmarks.step_cost_methods import BASELINE, GATED, METHODS, PHASES, Phase, copy_for, learner
from benchmarks.tables import step_cost_table
from core.learning.learner import Learner
from core.learning.loss import Batch

Variant = tuple[str, Phase]
Times = dict[Variant, list[float]]
Peaks = dict[Variant, int]

_FEWEST_ROUNDS: Final = 7
# Steps of the baseline in each round: its luck would be in every ratio.
_BASELINE_STEPS: Final = 3


def variants(methods: Iterable[str]) -> list[Variant]:
    """Return what is measured: the gated methods in both phases, the others once."""
    return [(method, phase) for method in methods for phase in (PHASES if method in GATED else PHASES[:1])]


def measured_as(method: str, phase: Phase) -> Variant:
    """Return the measurement that speaks for a method in a phase."""
    return method, phase if method in GATED else PHASES[0]


def timed_rounds(model_name: str, methods: Iterable[str], *, seconds: float, rounds: int | None) -> Iterator[Times]:
    """Yield all times so far after each round; the first round, which warms up, is not among them."""
    model = step_cost_models.build(model_name)
    batch = step_cost_models.batch_for(model)
    learners = {variant: learner(copy_for(model, variant[0]), variant[0], variant[1]) for variant in variants(methods)}
    times: Times = {variant: [] for variant in learners}
    for stepping in learners.values():
        _seconds_of_step(stepping, batch)
    order = [*learners, *[measured_as(BASELINE, "dense")] * (_BASELINE_STEPS - 1)]
    shuffle, started = random.Random(0), time.monotonic()  # noqa: S311 - an order, not a secret
    while not _enough(times, time.monotonic() - started, seconds=seconds, rounds=rounds):
        shuffle.shuffle(order)
        for variant in order:
            times[variant].append(_seconds_of_step(learners[variant], batch))
        yield times


def rows_of(model_name: str, methods: Sequence[str], times: Times, peaks: Peaks) -> list[dict[str, Any]]:
    """Return the rows of one model, with ratios to the baseline."""
    baseline = measured_as(BASELINE, "dense")
    rounds = len(times[baseline]) // _BASELINE_STEPS
    rows = []
    for phase in PHASES:
        for method in methods:
            variant = measured_as(method, phase)
            own, peak = times[variant], peaks.get(variant)
            rows.append(
                {
                    "model": model_name,
                    "phase": phase,
                    "method": method,
                    "seconds": round(float(np.quantile(own, figures.UNDISTURBED)), 5),
                    "peak_bytes": peak,
                    "time_ratio": round(figures.ratio(own, times[baseline], quantile=figures.UNDISTURBED), 4),
                    "memory_ratio": None if peak is None else round(peak / peaks[baseline], 4),
                    "time_ratio_interval": figures.ratio_interval(
                        own, times[baseline], quantile=figures.UNDISTURBED, rounds=rounds
                    ),
                }
            )
    return rows


def measure(given: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Measure what was asked for."""
    methods = tuple(dict.fromkeys((BASELINE, *given.methods)))
    total = len(given.models) * (1 + (given.memory * len(variants(methods))))
    bar = progress.add_task("", total=total)
    rows, rounds = [], {}
    for model_name in given.models:
        peaks: Peaks = {}
        for method, phase in variants(methods) if given.memory else []:
            progress.update(bar, description=f"{model_name}: memory of {method}, {phase}")
            peaks[method, phase] = step_cost_memory.alone(step_cost_memory.peak_bytes, model_name, method, phase)
            progress.advance(bar)
        times: Times = {}
        for times in timed_rounds(model_name, methods, seconds=given.seconds, rounds=given.rounds):
            rounds[model_name] = len(times[BASELINE, "dense"]) // _BASELINE_STEPS
            progress.update(bar, description=f"{model_name}: round {rounds[model_name]}")
        progress.advance(bar)
        rows += rows_of(model_name, methods, times, peaks)
    settings = {
        "rank": 8,
        "batch": [step_cost_models.ROWS, step_cost_models.TOKENS],
        "target_tokens": step_cost_models.ROWS * step_cost_models.TARGETS_PER_ROW,
        "precision": "fp32",
        "rounds": rounds,
    }
    start = {"threshold_start": step_cost_memory.alone(step_cost_memory.threshold_start)} if given.memory else {}
    return {"rows": rows, **start, "settings": settings, **figures.circumstances()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step_cost", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument(
        "--models", nargs="+", choices=list(step_cost_models.MODELS), default=list(step_cost_models.MODELS)
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seconds", type=float, default=120.0, help="of rounds for each model")
    parser.add_argument("--rounds", type=int, help="for each model, in place of --seconds")
    parser.add_argument("--threads", type=int, help="of torch, on a CPU")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave memory and threshold start out")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    with Progress(console=Console(file=sys.stderr), disable=given.json) as progress:
        found = measure(given, progress)
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        Console().print(step_cost_table(found))


def _enough(times: Times, spent: float, *, seconds: float, rounds: int | None) -> bool:
    done = min(len(taken) for taken in times.values())
    return done >= rounds if rounds is not None else done >= _FEWEST_ROUNDS and spent >= seconds


def _seconds_of_step(stepping: Learner, batch: Batch) -> float:
    _synchronise()
    started = time.perf_counter()
    stepping.learn([batch])
    _synchronise()
    return time.perf_counter() - started


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()

"""What it costs to score a model of many tasks as the service does, against generating every answer anew.

    python -m benchmarks.evaluation --data DIR [--order long_4] [--rows 32] [--rounds 3] [--json]

DIR is laid out as for `benchmarks.continual`. After the last task of the order every task of it is scored once, its
texts uncut but for the limit of a prompt; a reduced set is scored: ``--rows`` a task. Both sides (`sides.py`) run in one
process, task by task in turns, and the one that begins changes from round to round. What the service saves besides, by
never scoring a pair of version and task again, is not counted. Run it while nothing else runs: about 15 minutes on two
cores.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.continual.data import Collection, Portion, Task, first_tokens
from benchmarks.evaluation import sides, table
from benchmarks.evaluation.sides import Right, Sides
from benchmarks.figures import circumstances, ratio, ratio_interval
from benchmarks.step_cost_models import smollm2_folder
from core.weights import base

NAMES: Final = ("scored", "generated")
# More than this load before anything was started means that others were at work.
_IDLE_LOAD: Final = 0.5
# Texts of the lesson, which is not measured, are cut.
_LESSON_TOKENS: Final = 64


def measure(both: Sides, tasks: Sequence[Task], *, rounds: int) -> dict[str, Any]:
    """Return seconds of both sides by task, and the ratio of their sums over all tasks."""
    seconds: dict[str, dict[str, list[float]]] = {name: {task.name: [] for task in tasks} for name in NAMES}
    right: dict[tuple[str, str], Right] = {}
    for round_number in range(rounds):
        for task in tasks:
            for name in NAMES if round_number % 2 else NAMES[::-1]:
                began = time.perf_counter()
                right[name, task.name] = getattr(both, name)(task.held_out)
                seconds[name][task.name].append(time.perf_counter() - began)
    totals = {name: [round(sum(each), 3) for each in zip(*seconds[name].values(), strict=True)] for name in NAMES}
    rows = [_row(task.name, seconds, right) for task in tasks]
    return {
        "tasks": rows,
        "rows": sum(row["rows"] for row in rows),
        "agree_on": sum(row["agree_on"] for row in rows),
        "seconds": totals,
        "ratio": round(ratio(totals["scored"], totals["generated"]), 4),
        "ratio_95": ratio_interval(totals["scored"], totals["generated"]),
        **circumstances(),
    }


def _row(task: str, seconds: dict[str, dict[str, list[float]]], right: dict[tuple[str, str], Right]) -> dict[str, Any]:
    mine, theirs = (right[name, task] for name in NAMES)
    scored, generated = (seconds[name][task] for name in NAMES)
    return {
        "task": task,
        "rows": len(mine.rows),
        "right": sum(mine.rows),
        "agree_on": sum(one == other for one, other in zip(mine.rows, theirs.rows, strict=True)),
        "longest_answer": theirs.longest_answer,
        "scored_seconds": round(statistics.median(scored), 3),
        "generated_seconds": round(statistics.median(generated), 3),
        "ratio": round(ratio(scored, generated), 4),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--data", type=Path, required=True, help="folder of the tasks; see docs/how-to/reproduce.md")
    parser.add_argument("--order", default="long_4", help="a name of benchmark.json, or tasks with commas between")
    parser.add_argument("--base", type=Path, help="a folder; without it SmolLM2-135M-Instruct")
    parser.add_argument(
        "--rows", type=int, default=32, help="of each task; the service scores 200 if there are as many"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--lesson-rows", type=int, default=24, help="of each task, from which the adapter learns to answer"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    torch.set_num_threads(given.threads)
    loaded = base.load(given.base or smollm2_folder(), dtype=torch.float32)
    collection = Collection.open(given.data)
    names = collection.names(given.order)
    short = first_tokens(loaded.tokenizer, _LESSON_TOKENS)
    lesson = Portion(train_rows=given.lesson_rows, eval_rows=1, split="dev", seed=0)
    portion = Portion(train_rows=1, eval_rows=given.rows, split="dev", seed=0)
    both = Sides.of(loaded, [collection.task(name, lesson, short) for name in names])
    settings = {
        "order": given.order,
        "rounds": given.rounds,
        "lesson_rows": given.lesson_rows,
        "batch_rows": sides.BATCH_ROWS,
        "source_tokens": sides.SOURCE_TOKENS,
        "target_tokens": sides.TARGET_TOKENS,
    }
    tasks = [collection.task(name, portion, lambda text: text) for name in names]
    found = {"settings": settings, "load_before": round(load, 2), "idle": load < _IDLE_LOAD}
    found |= measure(both, tasks, rounds=given.rounds)
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        Console().print(Markdown(table.markdown(found)))


if __name__ == "__main__":
    main()

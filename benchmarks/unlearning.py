"""How well un-learning by chain works: what a left-out task and the others score without its delta.

    python -m benchmarks.unlearning --run RUN --data DIR [--leave-out first,middle,last] [--out FILE]
    python -m benchmarks.unlearning table FILE...

RUN is the folder of a finished run of `python -m benchmarks.continual`, which keeps each task's delta; DIR is where that
run took its tasks from. Of each task in turn the other deltas are folded into the base, as a `rebuild` job does, and the
same held-out rows are answered again: differences are paired over rows, with their 90 % intervals. Beside them stands
what the untouched base scores on the left-out task, which is what is left of it when nothing was learned.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import torch
from rich.console import Console
from rich.progress import Progress

from benchmarks.continual.compare import Difference, difference, last_rows, read
from benchmarks.continual.data import Collection, Portion, first_tokens
from benchmarks.continual.run import Run
from benchmarks.figures import circumstances
from benchmarks.step_cost_models import smollm2_folder
from core.domain.manifest import DELTA_FILE
from core.learning.lineage import Lineage
from core.storage import durable
from core.weights import base, fold
from core.weights.delta import Delta

_PLACES: Final = ("first", "middle", "last")
_HEAD: Final = ("method", "run", "left out", "base", "before", "after", "its difference", "the others' difference")
_DIGITS: Final = 4

Case = dict[str, Any]


def main(arguments: Sequence[str]) -> None:
    """Measure a run, or print the table of what was measured."""
    if arguments[:1] == ["table"]:
        files = [json.loads(Path(file).read_text(encoding="utf-8")) for file in arguments[1:]]
        sys.stdout.write(table(files))
        return
    given = _parser().parse_args(arguments)
    torch.set_num_threads(given.threads)
    report = read(given.run)
    with Progress(console=Console(stderr=True)) as progress:
        found = measure(report, _run_of(report, given.run, given.data, progress), given.leave_out.split(","))
    if given.out:
        durable.write_bytes(given.out, (json.dumps(found, indent=1) + "\n").encode())
    sys.stdout.write(table([found]))


def measure(report: Mapping[str, Any], run: Run, chosen: Sequence[str]) -> dict[str, Any]:
    """Return what leaving out each of the chosen tasks of a finished run comes to.

    Args:
        report: of the run.
        run: the same run on a base model that has learned nothing.
        chosen: names of tasks, or first, middle and last, or all.
    """
    names: list[str] = report["tasks"]
    network = run.lineage.network
    deltas = [Delta.load(run.folder_of(n) / DELTA_FILE) for n in range(len(names))]
    cases = []
    for place in _places(names, chosen):
        with _folded(network, [delta for n, delta in enumerate(deltas) if n != place]):
            right = {task.name: run.right(task) for task in run.tasks}
        cases.append(_case(report, names[place], right))
    return {
        "method": report.get("label") or report["method"],
        "order": report["order"],
        "base": report["base"],
        "settings": report["settings"],
        "tasks": names,
        "cases": cases,
        **circumstances(),
    }


def _case(report: Mapping[str, Any], left_out: str, right: Mapping[str, str]) -> Case:
    """Return one left-out task's figures; ``right`` are the answers of all tasks without it."""
    before: Mapping[str, str] = report["right"][-1]
    place = report["tasks"].index(left_out)
    others = [name for name in report["tasks"] if name != left_out]
    return {
        "left_out": left_out,
        "base": report["base_scores"][place],
        "before": _share(before[left_out]),
        "after": _share(right[left_out]),
        "difference": asdict(_difference(right, before, [left_out])),
        "others_before": round(fmean(_share(before[name]) for name in others), _DIGITS),
        "others_after": round(fmean(_share(right[name]) for name in others), _DIGITS),
        "others_difference": asdict(_difference(right, before, others)),
        "after_by_task": {name: _share(right[name]) for name in report["tasks"]},
        "right": dict(right),
    }


def _difference(right: Mapping[str, str], before: Mapping[str, str], names: Sequence[str]) -> Difference:
    now, then = ({"tasks": names, "right": [answers]} for answers in (right, before))
    return difference([(now, then)], last_rows)


def _places(names: Sequence[str], chosen: Sequence[str]) -> list[int]:
    known = {"first": 0, "middle": len(names) // 2, "last": len(names) - 1} | {name: n for n, name in enumerate(names)}
    if list(chosen) == ["all"]:
        return list(range(len(names)))
    if unknown := [name for name in chosen if name not in known]:
        raise SystemExit(f"no task {unknown[0]!r} in the run; it has: {', '.join(names)}")
    return sorted({known[name] for name in chosen})


@contextmanager
def _folded(network: Any, deltas: Sequence[Delta]) -> Iterator[None]:
    """Let the network hold the sum of some deltas, and its own weights again afterwards."""
    folded = fold.fold(network, deltas)
    own = {name: network.get_parameter(name).detach().clone() for name in folded}
    fold.apply(network, folded)
    try:
        yield
    finally:
        fold.apply(network, own)


def _run_of(report: Mapping[str, Any], folder: Path, data: Path, progress: Progress) -> Run:
    """Return the run as it was set up: the same rows, rendered and cut alike, on the untouched base."""
    settings = report["settings"]
    folder_of_base = Path(report["base"]) if Path(report["base"]).is_dir() else smollm2_folder()
    loaded = base.load(folder_of_base, dtype=torch.float32)
    collection = Collection.open(data)
    portion = Portion(
        train_rows=settings["train_rows"],
        eval_rows=settings["eval_rows"],
        split=settings["eval_split"],
        seed=settings["seed"],
    )
    cut = first_tokens(loaded.tokenizer, settings["text_tokens"])
    recipe = settings["recipe"]
    return Run(
        lineage=Lineage(loaded.model, loaded.tokenizer, method=report["method"]),
        tasks=[collection.task(name, portion, cut) for name in report["tasks"]],
        spec={"training": recipe["training"], "evaluation": recipe["evaluation"]},
        folder=folder,
        progress=progress,
    )


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return a Markdown table, a line a left-out task."""
    rows = [_HEAD, ("---",) * len(_HEAD)]
    for measured in found:
        run = f"{measured['order']}/{measured['settings']['seed']}"
        for case in measured["cases"]:
            scores = [f"{case[name]:.3f}" for name in ("base", "before", "after")]
            changes = [str(Difference(**case[name])) for name in ("difference", "others_difference")]
            rows.append((f"`{measured['method']}`", run, case["left_out"], *scores, *changes))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _share(right: str) -> float:
    return round(right.count("1") / len(right), _DIGITS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unlearning", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of a finished run")
    parser.add_argument("--data", type=Path, required=True, help="folder of the tasks, as the run was given it")
    parser.add_argument("--leave-out", default=",".join(_PLACES), help="tasks, or first, middle, last, or all")
    parser.add_argument("--out", type=Path, help="also write everything as JSON")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])

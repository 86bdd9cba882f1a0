"""Runs beside each other: what each method remembers, and whether a difference is more than chance.

    python -m benchmarks.continual compare [--baseline inclora] [--json] REPORT...

Two runs on the same order and seed answered the same rows: differences are taken row by row, and their intervals come
from drawing rows anew, task by task, the same rows for both (a paired bootstrap).
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 10_000
# An interval of 90 %: 5 % lie below it.
TAILS: Final = (0.05, 0.95)
HEAD: Final = ("method", "orders", "OA", "BWT", "plasticity", "density", "OA against {}", "BWT against {}")

Report = Mapping[str, Any]
Place = tuple[str, int]
Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher a figure is than the baseline's, with its 90 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def main(arguments: Sequence[str]) -> None:
    """Print one line for each method: means over its runs, and differences to the baseline's runs on the same rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.continual compare", description=__doc__)
    parser.add_argument("reports", type=Path, nargs="+", help="folders of runs, or their report.json")
    parser.add_argument("--baseline", default="inclora")
    parser.add_argument("--json", action="store_true", help="one object a method instead of a table")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also a picture, e.g. comparison.svg")
    given = parser.parse_args(arguments)
    lines = compare([read(path) for path in given.reports], baseline=given.baseline)
    if given.plot:
        from benchmarks.continual import plot  # a developer's dependency, for the picture alone

        plot.draw(lines, given.plot, baseline=given.baseline)
    sys.stdout.write(
        json.dumps(lines, indent=1, default=asdict) + "\n" if given.json else table(lines, baseline=given.baseline)
    )


def read(path: Path) -> Report:
    """Return the report of a run."""
    found: Report = json.loads((path / "report.json" if path.is_dir() else path).read_text(encoding="utf-8"))
    return found


def compare(reports: Sequence[Report], *, baseline: str) -> list[dict[str, Any]]:
    """Return each method's figures, the best OA first; differences where the baseline ran on the same rows."""
    by_method: dict[str, dict[Place, Report]] = defaultdict(dict)
    for report in reports:
        by_method[label(report)][report["order"], report["settings"]["seed"]] = report
    lines = []
    for method, runs in by_method.items():
        shared = [place for place in runs if place in by_method.get(baseline, {}) and method != baseline]
        pairs = [(runs[place], by_method[baseline][place]) for place in shared]
        lines.append(
            {
                "method": method,
                "runs": [f"{order}/{seed}" for order, seed in runs],
                **{name: _mean([run[name] for run in runs.values()]) for name in ("oa", "bwt", "plasticity")},
                "density": _mean([fmean(run["density"]) for run in runs.values()]),
                "oa_difference": difference(pairs, last_rows) if pairs else None,
                "bwt_difference": difference(pairs, transfer_rows) if pairs else None,
            }
        )
    return sorted(lines, key=lambda line: -float(line["oa"] or 0))


def label(report: Report) -> str:
    """Return the method's name with whatever its run was told beside it."""
    return str(report.get("label") or report["method"])


def interval(report: Report, figure: Callable[[Report], list[Rows]]) -> tuple[float, float]:
    """Return the 90 % interval of one run's figure, by drawing its rows anew within each task."""
    low, high = np.quantile(_draws(figure(report), np.random.default_rng(0)), TAILS)
    return round(float(low), 4), round(float(high), 4)


def difference(pairs: Sequence[tuple[Report, Report]], figure: Callable[[Report], list[Rows]]) -> Difference:
    """Return how much higher ``figure``, a function of a report to row values by task, is than the baseline's.

    The mean over tasks within a run, then over runs; rows are drawn with replacement within each task.
    """
    generator = np.random.default_rng(0)
    values, draws = [], []
    for run, other in pairs:
        by_task = [mine - theirs for mine, theirs in zip(figure(run), figure(other), strict=True)]
        values.append(fmean(float(rows.mean()) for rows in by_task))
        draws.append(_draws(by_task, generator))
    low, high = np.quantile(np.mean(draws, axis=0), TAILS)
    return Difference(round(fmean(values), 4), round(float(low), 4), round(float(high), 4))


def _draws(by_task: Sequence[Rows], generator: np.random.Generator) -> Rows:
    """Return the mean over tasks of each task's mean, for each of many draws of its rows with replacement."""
    of_tasks = [rows[generator.integers(0, len(rows), (RESAMPLES, len(rows)))].mean(axis=1) for rows in by_task]
    drawn: Rows = np.mean(of_tasks, axis=0)
    return drawn


def last_rows(report: Report) -> list[Rows]:
    """Return what OA is the mean of: every task's rows after the last task."""
    return [_digits(report["right"][-1][task]) for task in report["tasks"]]


def transfer_rows(report: Report) -> list[Rows]:
    """Return what BWT is the mean of: for every task but the last, its rows at the end less right after it."""
    tasks = report["tasks"][:-1]
    own = [_digits(report["right"][n][task]) for n, task in enumerate(tasks)]
    return [_digits(report["right"][-1][task]) - first for task, first in zip(tasks, own, strict=True)]


def _digits(right: str) -> Rows:
    return np.frombuffer(right.encode(), dtype=np.uint8).astype(np.float64) - ord("0")


def table(lines: Sequence[Mapping[str, Any]], *, baseline: str) -> str:
    """Return the lines as a Markdown table."""
    rows = [tuple(cell.format(baseline) for cell in HEAD), ("---",) * len(HEAD)]
    for line in lines:
        figures = [_shown(line[name]) for name in ("oa", "bwt", "plasticity", "density")]
        differences = [str(line[name] or "") for name in ("oa_difference", "bwt_difference")]
        rows.append((f"`{line['method']}`", ", ".join(line["runs"]), *figures, *differences))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 4) if known else None

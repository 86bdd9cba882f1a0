"""``report.json``: one run's scores and what continual learning reads in them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.continual import compare
from benchmarks.continual.run import Run, TaskRecord
from benchmarks.figures import circumstances
from core.domain.manifest import DELTA_FILE
from core.services import evaluations
from core.weights.delta import Delta
from core.weights.overlap import overlap

_DIGITS = 4


def of(run: Run, records: Sequence[TaskRecord], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report of a finished run.

    ``scores[i][t]`` is the share of task t's rows that are right after learning task i, None for tasks not yet learned;
    ``right`` says the same row by row, for paired comparisons.

    Args:
        run: the run, for its folder.
        records: what its tasks left, in their order.
        about: what was run: order, method, base, settings.
    """
    names = [record.task for record in records]
    scores = tuple(
        tuple(_share(record.right[name]) if name in record.right else None for name in names) for record in records
    )
    found = {
        **about,
        "tasks": names,
        "scores": scores,
        "base_scores": [_share(record.base) for record in records],
        "oa": _rounded(evaluations.overall_accuracy(scores)),
        "bwt": _rounded(evaluations.backward_transfer(scores)),
        "forgetting": _rounded(evaluations.forgetting(scores)),
        "plasticity": _rounded(evaluations.plasticity(scores)),
        "density": [round(record.density, _DIGITS) for record in records],
        "overlap": _overlaps([run.folder_of(n) / DELTA_FILE for n in range(len(records))]),
        "train_seconds": [record.train_seconds for record in records],
        "eval_seconds": [record.eval_seconds for record in records],
        "peak_bytes": max(record.peak_bytes for record in records),
        "right": [record.right for record in records],
        **circumstances(),
    }
    # Of one task there is no transfer.
    figures = {"oa": compare.last_rows} | ({"bwt": compare.transfer_rows} if len(names) > 1 else {})
    return found | {f"{name}_interval": compare.interval(found, figure) for name, figure in figures.items()}


def _overlaps(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Return every pair of tasks, the earlier first, with what their updates have in common."""
    deltas = [Delta.load(file) for file in files]
    pairs = []
    for later in range(len(deltas)):
        for earlier in range(later):
            found = overlap(deltas[earlier], deltas[later])
            figures = {"shared": round(found.shared, _DIGITS), "cosine": round(found.cosine, _DIGITS)}
            pairs.append({"tasks": [earlier, later], **figures})
    return pairs


def _share(right: str) -> float:
    return round(right.count("1") / len(right), _DIGITS)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)

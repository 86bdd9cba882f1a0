"""A finished run as one page: what was scored after each task, what was forgotten, and how the updates overlap.

    python -m benchmarks.continual report DIR [--html FILE] [--svg FILE]

Without a name the page is written beside the run's ``report.json``.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from api.pages import model_page
from benchmarks.continual import compare
from core.domain.model_report import BaseUsed, DeltaOverlap, Learned, Measure, ModelReport, Step
from core.domain.statistics import Sample, interval
from core.domain.times import timestamp
from core.services.reports import summaries
from core.storage import durable


def main(arguments: Sequence[str]) -> None:
    """Write a run's page, and its figures if they are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.continual report", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run, or its report.json")
    parser.add_argument("--html", type=Path, metavar="FILE", help="the page; report.html beside report.json without it")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also the figures alone")
    given = parser.parse_args(arguments)
    report = of_run(compare.read(given.run))
    beside = given.run if given.run.is_dir() else given.run.parent
    page = given.html or beside / "report.html"
    durable.write_bytes(page, model_page.page(report).encode())
    if given.svg:
        durable.write_bytes(given.svg, model_page.picture(report).encode())
    sys.stdout.write(f"{page}\n")


def of_run(found: Mapping[str, Any]) -> ModelReport:
    """Return a run's ``report.json`` as the report of the model that it made; rows' intervals are formed here."""
    name, tasks = f"{compare.label(found)} on {found['order']}", found["tasks"]
    return ModelReport(
        model=name,
        made_at=timestamp(int(1000 * time.time())),
        base=BaseUsed(name=found["base"], digest=None),
        latest=f"{name}@{len(tasks)}",
        learned=tuple(
            Learned(
                task=task,
                version=f"{name}@{n + 1}",
                metric="exact_match",
                method=found["method"],
                settings=found["settings"],
            )
            for n, task in enumerate(tasks)
        ),
        lineage=tuple(
            Step(version=f"{name}@{n + 1}", task=task, density=found["density"][n]) for n, task in enumerate(tasks)
        ),
        scores=tuple(tuple(_measure(right.get(task)) for task in tasks) for right in found["right"]),
        base_scores=tuple(Measure(value=value) for value in found["base_scores"]),
        base_option_scores=(),
        after=summaries([tuple(row) for row in found["scores"]]),
        overlaps=tuple(
            DeltaOverlap(earlier=earlier, later=later, shared=pair["shared"], cosine=pair["cosine"])
            for pair in found["overlap"]
            for earlier, later in [pair["tasks"]]
        ),
        versions=(),
    )


def _measure(right: str | None) -> Measure | None:
    """Return the score of rows that are each one digit, 1 where the answer was right."""
    if right is None:
        return None
    sample = Sample([float(digit) for digit in right])
    bounds = interval(sample)
    return Measure(value=sample.value, low=bounds.low, high=bounds.high, n_rows=len(right))

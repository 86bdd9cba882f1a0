"""How many poisoned tasks pass the gate, and how many clean ones it refuses.

    python -m benchmarks.poisons [--json] [--seeds 20] [--kinds clean "random labels" ...]

A tiny Llama learns three toy tasks by the default method; then, again and again from there, a fourth one that is clean
or poisoned in one of three ways, and the gate judges by its default policy what became of it. The first interval is
what the figures leave open: 0 of 20 may still be one in seven.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import figures
from benchmarks.poisons.trial import KINDS, Trial, scene, trials
from core.domain.bounds import proportion_low
from core.domain.gate_report import Rule
from core.domain.policies import GatePolicy

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Count:
    """What the gate made of one kind of task.

    Attributes:
        passed: how many would have become `latest`.
        passed_high: how large their share may be in truth, at 95 % one-sided.
        refused_by: how often each rule said no; more than one may.
        score: mean score on the new task's held-out rows; ``lost`` mean of the largest loss of an earlier task.
        norm_ratio: the largest change of a layer, relative to its weight.
    """

    kind: str
    seeds: int
    passed: int
    passed_high: float
    refused_by: dict[str, int]
    score: float
    lost: float
    norm_ratio: float


def count(kind: str, tried: Sequence[Trial]) -> Count:
    """Count what became of one kind of task."""
    reports = [each.report for each in tried]
    passed = sum(not report.rejects for report in reports)
    rules = {rule.value: sum(rule in {finding.rule for finding in each.failures} for each in reports) for rule in Rule}
    figure = {
        rule: [finding.figures for each in reports for finding in each.rules if finding.rule is rule] for rule in Rule
    }
    return Count(
        kind=kind,
        seeds=len(reports),
        passed=passed,
        passed_high=round(1 - proportion_low(len(reports) - passed, len(reports), confidence=CONFIDENCE), 4),
        refused_by={rule: times for rule, times in rules.items() if times},
        score=round(sum(each["score"] for each in figure[Rule.ABOVE_CHANCE]) / len(reports), 4),
        lost=round(sum(max(each.drop for each in report.drops) for report in reports) / len(reports), 4),
        norm_ratio=round(max(each["norm_ratio"] for each in figure[Rule.NORM_BOUND]), 4),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Try every kind with every seed, and print JSON or a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.poisons", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    began = time.monotonic()
    policy, stage = GatePolicy(), scene()
    tried = trials(stage, kinds=given.kinds, seeds=range(given.seeds), policy=policy)
    total = len(given.kinds) * given.seeds
    done = list(track(tried, total=total, console=Console(stderr=True), description="learning"))
    counts = [count(kind, [each for each in done if each.kind == kind]) for kind in given.kinds]
    report = {
        "policy": policy.model_dump(mode="json"),
        "earlier": {score.task_id: score.value for score in stage.parent},
        "kinds": [asdict(each) for each in counts],
        "seconds": round(time.monotonic() - began, 1),
        **figures.circumstances(),
    }
    if given.json:
        print(json.dumps(report, indent=1))
    else:
        Console().print(_table(counts))


def _table(counts: Sequence[Count]) -> Table:
    drawn = Table("fourth task", "passed", "refused by", "new task's score", "lost of an earlier task", "norm ratio")
    for each in counts:
        refused: Any = ", ".join(f"{rule} {times}" for rule, times in each.refused_by.items())
        shown = (each.kind, f"{each.passed} of {each.seeds}", refused, each.score, each.lost, each.norm_ratio)
        drawn.add_row(*map(str, shown))
    return drawn


if __name__ == "__main__":
    main()

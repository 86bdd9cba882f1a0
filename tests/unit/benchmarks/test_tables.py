import json
from typing import Any

import pytest

from benchmarks import figures
from benchmarks.tables import README, RESULTS, with_table

COMMITTED = RESULTS / "step_cost.json"


def row(method: str, phase: str, time: float, memory: float | None) -> dict[str, Any]:
    figures = {"time_ratio": time, "time_ratio_interval": (time - 0.02, time + 0.05), "memory_ratio": memory}
    return {"model": "tiny", "phase": phase, "method": method, **figures}


def found(*rows: dict[str, Any]) -> dict[str, Any]:
    settings = {"rounds": {"tiny": 5}, "target_tokens": 128}
    return {
        "rows": list(rows),
        "settings": settings,
        "processor": "",
        "device": "cpu",
        "threads": 2,
        "torch": "2",
        "revision": "abc",
    }


def test_the_readme_shows_what_the_committed_results_give_and_no_table_without_them() -> None:
    readme = README.read_text(encoding="utf-8")
    if COMMITTED.exists():
        assert with_table(readme, json.loads(COMMITTED.read_text(encoding="utf-8"))) == readme
    else:
        assert "<!-- step_cost -->\n<!-- step_cost -->" in readme


def test_the_table_goes_between_its_markers_and_nothing_else_changes() -> None:
    rows = [row(method, "dense", 1.0, 1.0) for method in ("lora", "ella")] + [row("jumplora", "dense", 1.02, None)]
    rows += [row("jumplora", "sparse", 1.084, None)]
    text = with_table("before\n<!-- step_cost -->\nold\n<!-- step_cost -->\nafter\n", found(*rows))
    assert text.startswith("before\n<!-- step_cost -->\n| step time")
    assert text.endswith("<!-- step_cost -->\nafter\n")
    assert "| `jumplora`, sparse | 1.08 | 1.08 |" in text
    assert "up to 0.07 in width" in text
    assert "old" not in text


def test_a_ratio_of_medians_lies_in_its_interval() -> None:
    slower, faster = [1.1, 1.12, 1.3, 1.09, 1.11], [1.0, 1.01, 1.2, 1.0, 1.0]
    low, high = figures.ratio_interval(slower, faster)
    assert low <= figures.ratio(slower, faster) <= high


def test_a_baseline_may_be_taken_more_often_than_what_it_is_compared_with() -> None:
    slower, baseline = [2.2, 2.0, 2.1, 5.0], [1.0, 1.1, 1.05, 1.0, 3.0, 1.1, 1.0, 1.0]
    got = figures.ratio(slower, baseline, quantile=figures.UNDISTURBED)
    low, high = figures.ratio_interval(slower, baseline, quantile=figures.UNDISTURBED, rounds=4)
    assert got == pytest.approx(2.075)
    assert low <= got <= high

"""README's table of the service is made of the committed results."""

import json
from typing import Any

from benchmarks.service.load import Load
from benchmarks.service.table import LINES, markdown
from benchmarks.tables import README, RESULTS, with_table

COMMITTED = RESULTS / "service.json"


def load(*, failures: int = 0) -> dict[str, Any]:
    made = Load(seconds=2.0, latencies=[0.001 * n for n in range(1, 101)])
    made.statuses[202] = 100
    made.statuses[503] = failures
    return made.figures()


def database() -> dict[str, Any]:
    return {
        "submit": load(failures=3),
        "bare": load(),
        "commits": {"per_second": 400.4},
        "list": load(),
        "get": load(),
        "upload": {"file_mib": 512, "mb_per_second": 71.6, "resident_growth_mib": 12.5},
        "claim": {"queued": 10_000, "p50_ms": 3.21, "p99_ms": 9.87},
        "dispatch": {"p50_ms": 250.0, "p99_ms": 510.0},
        "recovery_test": {"seconds_max": 1.94},
    }


def found() -> dict[str, Any]:
    facts = {"processor": "cpu", "cpus": 2, "python": "3.11", "revision": "abc", "idle": False, "load_before": 1.5}
    return {**facts, "databases": {"sqlite": database(), "postgresql": database()}}


def test_the_readme_shows_what_the_committed_results_give_and_no_table_without_them() -> None:
    readme = README.read_text(encoding="utf-8")
    if COMMITTED.exists():
        committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
        assert with_table(readme, committed, name="service") == readme
    else:
        assert "<!-- service -->\n<!-- service -->" in readme


def test_every_line_has_its_aim_and_its_figures() -> None:
    lines = markdown(found()).splitlines()
    assert len(lines) == len(LINES) + 4
    posted = next(line for line in lines if "POST /v1/tasks" in line)
    assert "≥ 150/s" in posted
    assert posted.count("50/s, p99 99 ms, 3 failed") == 2
    assert "upload of 512 MiB" in "".join(lines)
    assert "claim with 10000 jobs queued" in "".join(lines)
    assert lines[-1].endswith("The machine was not idle (load 1.5).")

"""What evaluating costs is measured on both sides alike, and README shows it."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evaluation.__main__ import main
from benchmarks.evaluation.table import markdown
from benchmarks.tables import README, RESULTS, with_table
from tests.tiny_models import tiny_llama

COMMITTED = RESULTS / "evaluation.json"
COLOURS = ("red", "blue")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for task in ("hue", "tint"):
        folder = tmp_path / "data" / task
        folder.mkdir(parents=True)
        for split, rows in (("train", 8), ("dev", 6)):
            lines = [{"text": f"{task} {split} {'longer ' * n}", "label": COLOURS[n % 2]} for n in range(rows)]
            (folder / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    tasks = {task: {"question": "Which?", "options": COLOURS} for task in ("hue", "tint")}
    known = {"tasks": tasks, "orders": {"both": ["hue", "tint"]}}
    (tmp_path / "data" / "benchmark.json").write_text(json.dumps(known))
    return tmp_path / "data"


def test_both_sides_score_every_row_and_agree(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {
        "data": data,
        "order": "both",
        "base": tiny_llama(tmp_path / "base"),
        "rows": 6,
        "rounds": 2,
        "threads": 1,
    }
    main(
        [
            "--json",
            "--lesson-rows",
            "8",
            *(word for name, value in settings.items() for word in (f"--{name}", str(value))),
        ]
    )
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["agree_on"]) == (12, 12)
    assert [row["task"] for row in found["tasks"]] == ["hue", "tint"]
    assert all(len(seconds) == 2 for seconds in found["seconds"].values())
    assert all(row["scored_seconds"] > 0 and row["longest_answer"] >= 1 for row in found["tasks"])
    assert found["ratio_95"][0] <= found["ratio"] <= found["ratio_95"][1]
    lines = markdown(found).splitlines()
    assert lines[4].startswith("| **all** | 12 |")
    assert "12 of 12 rows" in lines[6]


def test_the_readme_shows_what_the_committed_results_give_and_no_table_without_them() -> None:
    readme = README.read_text(encoding="utf-8")
    if COMMITTED.exists():
        committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
        assert with_table(readme, committed, name="evaluation") == readme
    else:
        assert "<!-- evaluation -->\n<!-- evaluation -->" in readme

"""A finished run of the continual-learning benchmark, as the page that a model's report is."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.continual import page

FOUND = {
    "order": "both",
    "method": "jumplora+ella",
    "base": "tiny",
    "settings": {"seed": 7, "recipe": {"training": {"epochs": 1}}},
    "tasks": ["hue", "tint"],
    "scores": [[0.5, None], [0.25, 0.75]],
    "base_scores": [0.25, 0.5],
    "density": [0.2, 0.1],
    "overlap": [{"tasks": [0, 1], "shared": 0.125, "cosine": -0.5}],
    "right": [{"hue": "1100"}, {"hue": "1000", "tint": "1110"}],
}


def test_a_run_becomes_a_page_beside_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.json").write_text(json.dumps(FOUND))
    page.main([str(tmp_path), "--svg", str(tmp_path / "figures.svg")])
    assert capsys.readouterr().out == f"{tmp_path / 'report.html'}\n"
    shown = "".join(ET.fromstring((tmp_path / "report.html").read_bytes()).itertext())
    for word in ("jumplora+ella on both", "hue", "tint", "0.125", "-0.500", "20 %", "4 rows", "recipe.training.epochs"):
        assert word in shown
    assert ET.fromstring((tmp_path / "figures.svg").read_bytes()).tag.endswith("svg")


def test_the_figures_and_their_intervals_are_those_of_the_rows() -> None:
    report = page.of_run(FOUND)
    cell = report.scores[1][1]
    assert cell is not None
    assert (cell.value, cell.n_rows) == (0.75, 4)
    assert cell.low is not None
    assert cell.high is not None
    assert 0.0 <= cell.low < 0.75 < cell.high <= 1.0
    last = report.after[-1]
    assert (last.n_tasks, last.oa, last.bwt, last.forgetting) == (2, 0.5, -0.25, 0.25)

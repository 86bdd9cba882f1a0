"""The report of a model, as the client and the command tell it."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import stage
from listening import Listening
from typer.testing import CliRunner, Result

from strata.cli.app import app
from strata.client import NotFoundError

Run = Callable[..., Result]


@pytest.fixture
def run(listening: Listening) -> Run:
    """The command, on a model that learned two tasks."""
    listening.client.models.create("desk", base_model="tiny")
    stage.learn(listening.registry, "codes", scores={"codes": 0.9})
    stage.learn(listening.registry, "hues", scores={"codes": 0.875, "hues": 0.75})

    def typed(*words: str) -> Result:
        return CliRunner().invoke(app, ["--url", listening.url, *words], env={"COLUMNS": "200"}, catch_exceptions=False)

    return typed


def test_a_report_is_told_on_the_terminal_and_as_one_json_document(listening: Listening, run: Run) -> None:
    told = run("models", "report", "desk")
    assert told.exit_code == 0
    for word in ("desk@2", "tiny", "codes", "0.875", "-0.025", "25.0000%", "stable"):
        assert word in told.stdout
    document = json.loads(run("models", "report", "desk", "--json").stdout)
    assert document["scores"][1][0]["value"] == 0.875
    report = listening.client.models.report("desk")
    assert [entry.task for entry in report.learned] == ["codes", "hues"]
    assert report.after[-1].oa == pytest.approx(0.8125)


def test_the_page_and_the_figures_are_saved_and_stdout_stays_clean(run: Run, tmp_path: Path) -> None:
    page, figures = tmp_path / "report.html", tmp_path / "report.svg"
    told = run("models", "report", "desk", "--html", str(page), "--plot", str(figures))
    assert (told.exit_code, told.stdout) == (0, "")
    assert told.stderr.count("written: ") == 2
    assert "0.875" in page.read_text(encoding="utf-8")
    assert ET.fromstring(page.read_bytes()).tag == "html"
    assert ET.fromstring(figures.read_bytes()).tag.endswith("svg")


def test_figures_are_written_as_svg_only(run: Run, tmp_path: Path) -> None:
    told = run("models", "report", "desk", "--plot", str(tmp_path / "report.png"))
    assert (told.exit_code, list(tmp_path.glob("*.png"))) == (2, [])
    assert ".svg" in told.stderr


def test_a_model_that_is_not_there_leaves_no_file(listening: Listening, run: Run, tmp_path: Path) -> None:
    told = run("models", "report", "nobody", "--html", str(tmp_path / "report.html"))
    assert (told.exit_code, list(tmp_path.glob("*.html"))) == (1, [])
    assert "model_not_found" in told.stderr
    with pytest.raises(NotFoundError):
        listening.client.models.report_document("nobody", format="svg")

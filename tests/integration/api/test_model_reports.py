"""The report of a model over HTTP: as JSON, as a page, as figures."""

import re
from xml.etree import ElementTree as ET

import pytest
import stage
from doors import Door

from api import answer_headers
from api.pages import model_page
from core.domain.job_folder import ScoreEvent
from core.domain.manifest import OverlapSummary
from core.services import versions

REPORT = "/v1/models/desk/report"


@pytest.fixture
def learned(desk: Door) -> Door:
    """The model after three tasks; one cell of the matrix was never measured."""
    stage.learn(desk.registry, "codes", scores={"codes": 0.9})
    stage.learn(desk.registry, "hues", scores={"codes": 0.85, "hues": 0.8})
    stage.learn(desk.registry, "tides", scores={"codes": 0.7, "tides": 0.95})
    return desk


def test_the_report_tells_what_was_learned_and_what_is_still_known(learned: Door) -> None:
    told = learned.client.get(REPORT).json()
    assert (told["object"], told["model"], told["latest"]) == ("model_report", "desk", "desk@3")
    assert told["base"] == {"name": "tiny", "digest": "b" * 64}
    assert [entry["task"] for entry in told["learned"]] == ["codes", "hues", "tides"]
    first, step = told["learned"][0], told["lineage"][0]
    assert (first["version"], first["metric"], first["left_out"]) == ("desk@1", "exact_match", False)
    assert (step["version"], step["task"], step["density"], step["delta_bytes"]) == ("desk@1", "codes", 0.25, 100)
    assert told["scores"][0][0] == {"value": 0.9, "low": None, "high": None, "n_rows": 60}
    assert first["settings"]["training"]["batch_size"] > 0
    values = [[cell and cell["value"] for cell in row] for row in told["scores"]]
    assert values == [[0.9, None, None], [0.85, 0.8, None], [0.7, None, 0.95]]
    matrix = learned.client.get("/v1/models/desk/evaluations").json()
    last = told["after"][-1]
    assert (last["n_tasks"], last["oa_tasks"], last["plasticity_tasks"]) == (3, 2, 3)
    assert {name: last[name] for name in ("oa", "bwt", "forgetting", "plasticity")} == {
        name: matrix[name] for name in ("oa", "bwt", "forgetting", "plasticity")
    }
    assert told["after"][1]["oa"] == pytest.approx(0.825)
    assert told["after"][1]["bwt"] == pytest.approx(-0.05)
    aliases = {entry["version"]: entry["aliases"] for entry in told["versions"]}
    assert aliases == {"desk@0": ["stable"], "desk@1": [], "desk@2": [], "desk@3": ["latest"]}


def test_intervals_counts_overlap_and_general_ability_come_from_what_was_measured(desk: Door) -> None:
    first = stage.learn(desk.registry, "codes", scores={"codes": 0.9})
    task, _ = stage.submit(desk.registry, "hues")
    scored = {"subject": "result", "value": 0.8, "low": 0.7, "high": 0.875, "n_rows": 40}
    events = [
        ScoreEvent.model_validate({**scored, "task_id": task.id, "metric": "exact_match"}),
        ScoreEvent.model_validate({**scored, "task_id": None, "metric": "perplexity", "value": 14.5}),
        ScoreEvent.model_validate(
            {**scored, "task_id": None, "metric": "perplexity", "subject": "base", "value": 13.0}
        ),
    ]
    with desk.registry.write() as work:
        job = stage.claim(work)
        manifest = stage.manifest_of(work, job)
        overlaps = (OverlapSummary(shared=0.125, cosine=-0.5),)
        versions.publish(
            work,
            job_id=job.id,
            fence=stage.fence_of(job),
            manifest=manifest.model_copy(update={"delta": manifest.delta.model_copy(update={"overlaps": overlaps})}),
            scores=events,
            artefact=stage.artefact_of(job),
        )
    told = desk.client.get(REPORT).json()
    assert told["learned"][0]["version"] == f"desk@{first.number}"
    assert told["scores"][1] == [None, {"value": 0.8, "low": 0.7, "high": 0.875, "n_rows": 40}]
    assert told["overlaps"] == [{"earlier": 0, "later": 1, "shared": 0.125, "cosine": -0.5}]
    assert (told["lineage"][1]["perplexity"]["value"], told["base_perplexity"]["value"]) == (14.5, 13.0)
    page = desk.client.get(REPORT, params={"format": "html"}).text
    for word in ("0.800 [0.700, 0.875], 40 rows", "14.500", "13.000", "-0.500"):
        assert word in page


def test_a_browser_gets_a_page_under_a_policy_of_its_own(learned: Door) -> None:
    for answer in (
        learned.client.get(REPORT, headers={"Accept": "text/html,*/*;q=0.8"}),
        learned.client.get(REPORT, params={"format": "html"}),
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"] == model_page.CONTENT_SECURITY_POLICY
        assert answer.headers["vary"] == "accept"
        for name, value in answer_headers.STANDARD.items():
            assert name == answer_headers.CONTENT_SECURITY_POLICY or answer.headers[name] == value
        root = ET.fromstring(answer.text)
        assert root.findtext("head/title") == "desk: what it learned and what it still knows"
        assert len(list(root.iter("svg"))) == 4


def test_the_figures_come_as_a_drawing(learned: Door) -> None:
    answer = learned.client.get(REPORT, params={"format": "svg"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.headers["content-security-policy"] == model_page.CONTENT_SECURITY_POLICY
    assert ET.fromstring(answer.text).tag.endswith("svg")


def test_json_is_answered_unless_something_else_is_wanted(learned: Door) -> None:
    plain = learned.client.get(REPORT)
    assert plain.headers["content-type"] == "application/json"
    assert plain.headers["content-security-policy"] == answer_headers.STANDARD[answer_headers.CONTENT_SECURITY_POLICY]
    forced = learned.client.get(REPORT, params={"format": "json"}, headers={"Accept": "text/html"})
    assert forced.headers["content-type"] == "application/json"
    refused = learned.client.get(REPORT, params={"format": "pdf"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


def test_the_lineage_of_a_rolled_back_model_is_the_shorter_one(learned: Door) -> None:
    learned.client.post("/v1/models/desk/rollback", json={"version": "1"}).raise_for_status()
    told = learned.client.get(REPORT).json()
    assert (told["latest"], [entry["task"] for entry in told["learned"]]) == ("desk@1", ["codes"])
    assert len(told["versions"]) == 4


def test_a_model_that_learned_nothing_has_a_report(desk: Door) -> None:
    told = desk.client.get(REPORT).json()
    assert (told["latest"], told["learned"], told["scores"], told["after"]) == ("desk@0", [], [], [])
    page = desk.client.get(REPORT, params={"format": "html"})
    assert "Nothing was learned yet" in page.text
    assert desk.client.get(REPORT, params={"format": "svg"}).status_code == 200


def test_a_model_that_is_not_there_is_a_problem_in_every_format(desk: Door) -> None:
    for kind in ("json", "html", "svg"):
        answer = desk.client.get("/v1/models/nobody/report", params={"format": kind})
        assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")
        assert answer.headers["content-type"] == "application/problem+json"
        assert not re.search("<html|<svg", answer.text)

"""Scores as users ask for them: their metrics chosen with a task, the matrix, and one version beside another."""

import json
from typing import Any

import pytest
import stage
from doors import Door, labelled, places

from core.domain.job_folder import ScoreEvent


def learned(desk: Door, name: str, *outcomes: list[int], evaluation: dict[str, Any] | None = None) -> str:
    """Post a task and publish its version, with the rows' outcomes on each task so far."""
    fields = {"name": name, "spec": json.dumps({"evaluation": evaluation or {}})}
    posted = desk.post_task(fields=fields, file=labelled(20, start=100 * len(name)))
    assert posted.status_code == 202, posted.text
    tasks = [row["id"] for row in desk.client.get("/v1/tasks?order=asc").json()["data"]]
    with desk.registry.write() as work:
        stage.publish(work, stage.claim(work), [told(*each) for each in zip(tasks, outcomes, strict=True)])
    return str(posted.json()["task_id"])


def told(task_id: str, outcomes: list[int]) -> ScoreEvent:
    value = sum(outcomes) / len(outcomes)
    return ScoreEvent.model_validate(
        {
            "subject": "result",
            "task_id": task_id,
            "metric": "exact_match",
            "value": value,
            "n_rows": len(outcomes),
            "low": value - 0.125,
            "high": value,
            "chance": 0.5,
            "rows_sha256": "e" * 64,
            "outcomes": outcomes,
        }
    )


def test_the_matrix_says_how_sure_it_is_and_on_how_much(desk: Door) -> None:
    learned(desk, "a", [1, 1, 1, 1], evaluation={"scratch_score": 0.75})
    learned(desk, "bb", [1, 1, 1, 0], [1, 0, 1, 0])
    matrix = desk.client.get("/v1/models/desk/evaluations").json()
    assert matrix["scores"] == [[1.0, None], [0.75, 0.5]]
    assert matrix["low"] == [[0.875, None], [0.625, 0.375]]
    assert matrix["high"] == [[1.0, None], [0.75, 0.5]]
    assert matrix["n_rows"] == [[4, None], [4, 4]]
    assert matrix["chance"] == [0.5, 0.5]
    assert (matrix["scratch_scores"], matrix["fwt_vs_scratch"]) == ([0.75, None], 0.25)
    assert matrix["n_tasks"] == {"oa": 2, "bwt": 1, "forgetting": 1, "plasticity": 2, "fwt_vs_scratch": 1}
    assert matrix["overlap_shared"] == [[None, None], [None, None]]
    assert (matrix["general_drift"], matrix["base_general_perplexity"]) == ([None, None], None)


def test_one_version_is_shown_beside_another(desk: Door) -> None:
    learned(desk, "a", [1, 1, 1, 1])
    learned(desk, "bb", [1, 0, 0, 0], [1, 0, 1, 0])
    alone = desk.client.get("/v1/versions/desk@2/evaluations").json()
    assert [(row["task"], row["value"], row["against"]) for row in alone["scores"]] == [
        ("a", 0.25, None),
        ("bb", 0.5, None),
    ]
    beside = desk.client.get("/v1/versions/desk@2/evaluations?against=desk@1").json()
    assert beside["against_id"] == desk.client.get("/v1/versions/desk@1").json()["id"]
    old, new = (row["against"] for row in beside["scores"])
    assert (old["value"], old["difference"], old["n_better"], old["n_worse"]) == (1.0, -0.75, 0, 3)
    assert old["low"] <= -0.75 <= old["high"]
    assert old["p_value"] == pytest.approx(0.25)
    assert new is None


def test_a_version_is_compared_with_one_that_is_there_and_of_its_model(desk: Door) -> None:
    learned(desk, "a", [1])
    missing = desk.client.get("/v1/versions/desk@1/evaluations?against=desk@9")
    assert (missing.status_code, missing.json()["code"]) == (404, "version_not_found")
    desk.client.post("/v1/models", json={"name": "other", "base_model": "tiny"}).raise_for_status()
    foreign = desk.client.get("/v1/versions/desk@1/evaluations?against=other@0")
    assert foreign.status_code == 422
    assert ["query", "against"] in places(foreign)


def test_a_task_says_by_what_it_is_scored(desk: Door) -> None:
    task_id = learned(desk, "a", [1], evaluation={"metrics": ["option_likelihood", "exact_match"]})
    shown = desk.client.get(f"/v1/tasks/{task_id}").json()["effective_spec"]["evaluation"]
    assert shown["metrics"] == ["option_likelihood", "exact_match"]
    plain = learned(desk, "bb", [1], [1])
    assert desk.client.get(f"/v1/tasks/{plain}").json()["effective_spec"]["evaluation"]["metrics"] == ["exact_match"]
    assert desk.client.get("/v1/models/desk/evaluations").json()["metrics"] == ["option_likelihood", "exact_match"]


@pytest.mark.parametrize("metrics", [["rouge_l"], ["exact_match", "perplexity"], ["nonsense"], []])
def test_metrics_that_the_format_does_not_have_are_refused(desk: Door, metrics: list[str]) -> None:
    spec = json.dumps({"evaluation": {"metrics": metrics}})
    refused = desk.post_task(fields={"spec": spec}, file=labelled(20))
    assert refused.status_code == 422
    assert ["spec", "evaluation", "metrics"] in [place[:3] for place in places(refused)]


def test_a_perplexity_cannot_fill_the_matrix(desk: Door) -> None:
    rows = b"".join(json.dumps({"text": f"The harbour opens at {n}."}).encode() + b"\n" for n in range(20))
    spec = json.dumps({"evaluation": {"metrics": ["perplexity"]}})
    refused = desk.post_task(fields={"spec": spec}, file=rows)
    assert refused.status_code == 422
    assert "begin with one of: token_accuracy" in refused.text

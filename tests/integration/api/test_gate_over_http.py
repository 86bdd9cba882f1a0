"""The gate over HTTP: what it found is shown, and what it asks can be changed."""

from typing import Any

import judged
import pytest
import stage
from doors import Door, labelled

PATH = "/v1/models/desk"


@pytest.fixture
def refused(desk: Door) -> str:
    """A task whose version the gate rejected; return its job's id."""
    answer = desk.post_task(file=labelled(40))
    assert answer.status_code == 202, answer.text
    judged.finish(desk.registry, {"codes": 15})
    return str(answer.json()["id"])


def shown(door: Door, path: str) -> dict[str, Any]:
    answer = door.client.get(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_rejected_job_says_why_and_shows_the_report(desk: Door, refused: str) -> None:
    job = shown(desk, f"/v1/jobs/{refused}")
    assert (job["state"], job["error"]["code"], job["result_version"]) == ("rejected", "gate_rejected", "desk@1")
    assert "answers without any understanding reach 0.250" in job["error"]["detail"]
    assert job["try_it"] is None
    assert job["gate"]["verdict"] == "failed"
    version = shown(desk, "/v1/versions/desk@1")
    assert (version["state"], version["gate"]) == ("rejected", job["gate"])
    by_rule = {rule["rule"]: rule for rule in version["gate"]["rules"]}
    assert by_rule["above_chance"]["verdict"] == "failed"
    assert by_rule["floor"]["verdict"] == "not_judged"
    assert shown(desk, PATH)["aliases"]["latest"] == "desk@0"


def test_what_is_rejected_is_neither_promoted_nor_asked(desk: Door, refused: str) -> None:
    del refused
    promoted = desk.client.put(f"{PATH}/aliases/stable", json={"version": "1"})
    assert (promoted.status_code, promoted.json()["code"]) == (409, "wrong_state")
    assert "above_chance" in promoted.json()["detail"]
    asked = desk.client.post("/generate", json={"model": "desk@1", "prompt": "?"})
    assert (asked.status_code, asked.json()["code"]) == (409, "wrong_state")


def test_the_history_of_an_alias_says_what_the_gate_said(desk: Door) -> None:
    judged.learn(desk.registry, "good", {"good": 58})
    moves = shown(desk, f"{PATH}/aliases/latest/history")["data"]
    assert [move["gate"] for move in moves] == [None, "passed"]


def test_the_policy_is_changed_field_by_field_and_the_retry_passes(desk: Door, refused: str) -> None:
    before = shown(desk, PATH)["policy"]
    answer = desk.client.patch(PATH, json={"policy": {"gate": {"above_chance": False}}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["policy"] == {**before, "gate": {**before["gate"], "above_chance": False}}
    again = desk.client.post(f"/v1/jobs/{refused}/retry")
    assert again.status_code == 202, again.text
    judged.finish(desk.registry, {"codes": 15})
    job = shown(desk, f"/v1/jobs/{again.json()['id']}")
    assert (job["state"], job["result_version"], job["gate"]["verdict"]) == ("succeeded", "desk@2", "not_judged")


def test_a_change_of_the_policy_can_be_looked_up(desk: Door) -> None:
    desk.client.patch(PATH, json={"policy": {"gate": {"floor": 0.5}}}).raise_for_status()
    told = [each for each in shown(desk, "/v1/events")["data"] if each["kind"] == "policy_changed"]
    assert [each["data"] for each in told] == [{"gate": {"floor": 0.5}}]
    assert told[0]["actor"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["policy"]),
        ({"policy": {}}, ["policy", "gate"]),
        ({"policy": {"store_rows": True}}, ["policy", "gate"]),
        ({"policy": {"gate": {"floor": 2}}}, ["policy", "gate", "floor"]),
        ({"policy": {"gate": {"enabled": 1}}}, ["policy", "gate", "enabled"]),
        ({"policy": {"gate": {"min_rows": "20"}}}, ["policy", "gate", "min_rows"]),
        ({"policy": {"gate": {"max_mean_drop": None}}}, ["policy", "gate", "max_mean_drop"]),
        ({"policy": {"gate": {"roof": 1}}}, ["policy", "gate", "roof"]),
        ({"name": "other", "policy": {"gate": {}}}, ["name"]),
    ],
    ids=str,
)
def test_a_change_that_makes_no_sense_is_refused_and_changes_nothing(desk: Door, body: Any, loc: list[str]) -> None:
    before = desk.contents()
    answer = desk.client.patch(PATH, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, loc)
    assert desk.contents() == before


def test_another_projects_model_and_one_that_is_not_there_are_the_same(desk: Door) -> None:
    answer = desk.client.patch("/v1/models/nobody", json={"policy": {"gate": {"floor": 0.5}}})
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")


def test_a_model_is_created_with_a_gate_and_a_task_overrides_it(desk: Door) -> None:
    policy = {"gate": {"floor": 0.7, "min_rows": 10}}
    made = desk.client.post("/v1/models", json={"name": "strict", "base_model": "tiny", "policy": policy})
    assert made.status_code == 201, made.text
    gate = made.json()["policy"]["gate"]
    assert (gate["floor"], gate["min_rows"], gate["max_single_drop"]) == (0.7, 10, 0.3)
    fields = {"model": "strict", "spec": '{"gate": {"floor": 0.2}}'}
    job = desk.post_task(fields=fields, file=labelled(40)).json()
    assert job["effective_spec"]["gate"] == {**gate, "floor": 0.2}
    with desk.registry.write() as work:
        version = stage.publish(work, stage.claim(work), [judged.scored(job["task_id"], 26)])
    assert version.state == "ready"

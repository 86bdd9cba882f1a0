"""124: a task whose labels are wrong is taken, as nobody can tell; its version is refused."""

import judged
import stage
from cases import covers
from doors import Door, labelled

from core.domain.jobs import JobState


@covers(124)
def test_a_poisoned_task_is_accepted_and_its_version_rejected(desk: Door) -> None:
    before = desk.resolve("desk:latest")
    answer = desk.post_task(fields={"name": "poisoned"}, file=labelled(40, start=500))
    assert answer.status_code == 202, answer.text
    with desk.registry.write() as work:
        version = stage.publish(work, stage.claim(work), [judged.scored(answer.json()["task_id"], 14)])
    job = desk.client.get(f"/v1/jobs/{answer.json()['id']}").json()
    assert (job["state"], job["error"]["code"]) == (JobState.REJECTED, "gate_rejected")
    assert desk.resolve("desk:latest") == before
    assert desk.client.get(f"/v1/versions/{version.id}").json()["gate"]["verdict"] == "failed"
    assert desk.client.post("/v1/generate", json={"model": version.id, "prompt": "?"}).status_code == 409
    clean = desk.post_task(fields={"name": "clean"}, file=labelled(40, start=600)).json()
    with desk.registry.write() as work:
        next_one = stage.publish(work, stage.claim(work), [judged.scored(clean["task_id"], 58)])
    assert (next_one.parent_id, desk.resolve("desk:latest")) == (before, next_one.id)

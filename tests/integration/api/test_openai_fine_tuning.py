"""`/v1/fine_tuning/jobs` through OpenAI's own client: a job is a job, what it leaves is a version."""

from typing import Any, Final

import pytest
import stage
from doors import Door, labelled, prompted
from openai import ConflictError, NotFoundError, OpenAI, RateLimitError, UnprocessableEntityError
from openai.types.fine_tuning import FineTuningJob

from core.domain.job_folder import ProgressEvent
from core.domain.jobs import JobState
from core.registry import aliases
from core.services import jobs

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

SUPERVISED: Final = {"type": "supervised"}


def learn(desk: Door, job: FineTuningJob, *, steps: int = 0) -> str:
    """Do what a worker does, at once."""
    with desk.registry.write() as work:
        claimed = stage.claim(work)
        assert claimed.id == job.id
        report = [
            ProgressEvent(step=step, total_steps=steps, values={"loss": 1.0 / step}) for step in range(1, steps + 1)
        ]
        jobs.record(work, job_id=job.id, fence=stage.fence_of(claimed), events=report)
        return stage.publish(work, jobs.get(work, project_id=stage.PROJECT, job_id=job.id)).id


def spec_of(desk: Door, job: FineTuningJob) -> dict[str, Any]:
    told: dict[str, Any] = desk.client.get(f"/v1/jobs/{job.id}").json()["effective_spec"]
    return told


def test_a_base_model_becomes_a_model_that_learns_the_file(openai: OpenAI, desk: Door, rows: str) -> None:
    job = openai.fine_tuning.jobs.create(model="tiny", training_file=rows, suffix="clerk")
    assert (job.object, job.status, job.model) == ("fine_tuning.job", "queued", "clerk")
    assert (job.training_file, job.validation_file, job.fine_tuned_model, job.error) == (rows, None, None, None)
    assert job.organization_id == stage.PROJECT
    assert (job.result_files, job.integrations, job.metadata, job.trained_tokens) == ([], [], {}, None)
    assert desk.wakes.job_ids == [job.id]
    assert [model.to_dict()["name"] for model in openai.models.list()] == ["clerk", "desk"]

    version_id = learn(desk, job)
    done = openai.fine_tuning.jobs.retrieve(job.id)
    assert (done.status, done.fine_tuned_model) == ("succeeded", "clerk@1")
    assert done.finished_at is not None
    assert done.finished_at >= done.created_at
    assert openai.models.retrieve("clerk@1").to_dict()["version_id"] == version_id


def test_a_model_without_a_suffix_is_named_after_its_base(openai: OpenAI, rows: str) -> None:
    assert openai.fine_tuning.jobs.create(model="tiny", training_file=rows).model.startswith("tiny-")


def test_a_model_that_is_there_learns_one_task_more(openai: OpenAI, desk: Door, rows: str) -> None:
    job = openai.fine_tuning.jobs.create(model="desk", training_file=rows, suffix="greetings")
    assert desk.client.get(f"/v1/jobs/{job.id}").json()["task"] == "greetings"
    learn(desk, job)
    assert openai.fine_tuning.jobs.retrieve(job.id).fine_tuned_model == "desk@1"


def test_what_was_fine_tuned_is_fine_tuned_further(openai: OpenAI, desk: Door, rows: str) -> None:
    first = openai.fine_tuning.jobs.create(model="desk", training_file=rows)
    learn(desk, first)
    fine_tuned = openai.fine_tuning.jobs.retrieve(first.id).fine_tuned_model
    assert fine_tuned == "desk@1"
    second = openai.fine_tuning.jobs.create(model=fine_tuned, training_file=rows)
    learn(desk, second)
    assert openai.fine_tuning.jobs.retrieve(second.id).fine_tuned_model == "desk@2"
    with pytest.raises(ConflictError) as behind:
        openai.fine_tuning.jobs.create(model=fine_tuned, training_file=rows)
    assert behind.value.code == "parent_conflict"


def test_hyperparameters_are_settings_of_the_task(openai: OpenAI, desk: Door, rows: str) -> None:
    asked = {"n_epochs": 3, "batch_size": 4, "learning_rate_multiplier": 0.5}
    job = openai.fine_tuning.jobs.create(
        model="desk",
        training_file=rows,
        seed=7,
        method={"type": "supervised", "supervised": {"hyperparameters": asked}},  # type: ignore[typeddict-item]
        metadata={"ticket": "4711"},
    )
    training = spec_of(desk, job)["training"]
    assert (training["epochs"], training["batch_size"], training["seed"]) == (3, 4, 7)
    assert training["learning_rate"] == pytest.approx(1e-3)
    assert job.hyperparameters.to_dict() == asked
    assert job.method is not None
    assert job.method.to_dict() == {"type": "supervised", "supervised": {"hyperparameters": asked}}
    assert (job.seed, job.metadata) == (7, {"ticket": "4711"})
    assert openai.fine_tuning.jobs.retrieve(job.id) == job


def test_what_is_auto_is_left_to_the_method(openai: OpenAI, desk: Door, rows: str) -> None:
    auto: Any = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    job = openai.fine_tuning.jobs.create(model="desk", training_file=rows, hyperparameters=auto)
    assert job.hyperparameters.to_dict() == {"n_epochs": "auto", "batch_size": 16, "learning_rate_multiplier": 1.0}
    assert spec_of(desk, job)["training"]["learning_rate"] == pytest.approx(2e-3)


def test_the_rate_is_multiplied_from_where_the_model_stands(openai: OpenAI, desk: Door, rows: str) -> None:
    own = {"method": {"method": "ella", "training": {"learning_rate": 3e-4}}}
    desk.client.post("/v1/models", json={"name": "slow", "base_model": "tiny", **own}).raise_for_status()
    job = openai.fine_tuning.jobs.create(
        model="slow", training_file=rows, hyperparameters={"learning_rate_multiplier": 3}
    )
    assert spec_of(desk, job)["training"]["learning_rate"] == pytest.approx(9e-4)
    assert job.hyperparameters.learning_rate_multiplier == 3


def test_a_spec_says_what_openai_has_no_words_for(openai: OpenAI, desk: Door, rows: str) -> None:
    ours = {"task": "codes", "spec": {"method": "ella", "training": {"max_steps": 5}}}
    job = openai.fine_tuning.jobs.create(
        model="tiny", training_file=rows, suffix="clerk", seed=3, extra_body={"strata": ours}
    )
    shown = desk.client.get(f"/v1/jobs/{job.id}").json()
    assert (shown["task"], shown["model"], shown["effective_spec"]["method"]) == ("codes", "clerk", "ella")
    assert (shown["effective_spec"]["training"]["max_steps"], job.seed) == (5, 3)


def test_rows_to_score_on_may_be_given(openai: OpenAI, rows: str) -> None:
    other = openai.files.create(file=("eval.jsonl", prompted(40)[len(prompted(20)) :]), purpose="fine-tune")
    job = openai.fine_tuning.jobs.create(model="desk", training_file=rows, validation_file=other.id)
    assert job.validation_file == other.id


def test_validation_rows_that_are_also_learned_are_refused(openai: OpenAI, rows: str) -> None:
    both = openai.files.create(file=("eval.jsonl", prompted(30)), purpose="fine-tune")
    with pytest.raises(UnprocessableEntityError) as refused:
        openai.fine_tuning.jobs.create(model="desk", training_file=rows, validation_file=both.id)
    assert (refused.value.code, refused.value.param) == ("leak", "validation_file")


def test_events_come_newest_first_with_the_curves_among_them(openai: OpenAI, desk: Door, rows: str) -> None:
    job = openai.fine_tuning.jobs.create(model="desk", training_file=rows)
    learn(desk, job, steps=3)
    told = list(openai.fine_tuning.jobs.list_events(job.id, limit=1))
    messages = [event.message for event in told]
    assert messages[0].startswith("The job is succeeded")
    assert messages[-1] == "The job is queued"
    assert "The job is running" in messages
    (metrics,) = [event for event in told if event.type == "metrics"]
    assert metrics.message == "Step 3 of 3: training loss 0.3333"
    assert metrics.data == {"step": 3, "total_steps": 3, "train_loss": 1 / 3, "loss": 1 / 3}
    assert {event.level for event in told} == {"info"}
    first = openai.fine_tuning.jobs.list_events(job.id, limit=1)
    assert first.has_next_page()
    assert [event.id for event in first.data] == [told[0].id]


def test_the_checkpoint_of_a_job_is_the_version_that_it_left(openai: OpenAI, desk: Door, rows: str) -> None:
    job = openai.fine_tuning.jobs.create(model="desk", training_file=rows)
    assert openai.fine_tuning.jobs.checkpoints.list(job.id).data == []
    version_id = learn(desk, job, steps=3)
    (checkpoint,) = openai.fine_tuning.jobs.checkpoints.list(job.id)
    assert (checkpoint.id, checkpoint.object) == (version_id, "fine_tuning.job.checkpoint")
    assert (checkpoint.fine_tuned_model_checkpoint, checkpoint.step_number) == ("desk@1", 3)
    assert checkpoint.metrics.train_loss == pytest.approx(1 / 3)
    assert openai.fine_tuning.jobs.checkpoints.list(job.id, after=version_id).data == []


def test_a_job_is_paused_resumed_and_cancelled(openai: OpenAI, desk: Door, rows: str) -> None:
    job = openai.fine_tuning.jobs.create(model="desk", training_file=rows)
    paused = openai.fine_tuning.jobs.pause(job.id)
    assert str(paused.status) == "paused"
    assert openai.fine_tuning.jobs.resume(job.id).status == "queued"
    assert openai.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    assert desk.wakes.job_ids == [job.id, job.id]
    with pytest.raises(ConflictError) as over:
        openai.fine_tuning.jobs.resume(job.id)
    assert (over.value.code, over.value.response.headers["x-should-retry"]) == ("wrong_state", "false")


def test_a_job_that_failed_says_why(openai: OpenAI, desk: Door, rows: str) -> None:
    job = openai.fine_tuning.jobs.create(model="desk", training_file=rows)
    with desk.registry.write() as work:
        claimed = stage.claim(work)
        fence = stage.fence_of(claimed)
        jobs.fail(work, job_id=job.id, fence=fence, code="loss_diverged", detail="NaN at step 3")
    failed = openai.fine_tuning.jobs.retrieve(job.id)
    assert (failed.status, failed.fine_tuned_model) == ("failed", None)
    assert failed.error is not None
    assert (failed.error.code, failed.error.message, failed.error.param) == ("loss_diverged", "NaN at step 3", None)
    (last,) = openai.fine_tuning.jobs.list_events(job.id, limit=1).data
    assert (last.level, last.message) == ("error", "The job is failed: NaN at step 3")


def test_a_version_that_the_gate_rejected_is_a_failure_with_its_own_code(openai: OpenAI, desk: Door, rows: str) -> None:
    ours = {"spec": {"gate": {"floor": 0.9}}}
    job = openai.fine_tuning.jobs.create(model="desk", training_file=rows, extra_body={"strata": ours})
    with desk.registry.write() as work:
        claimed = stage.claim(work)
        stage.publish(work, claimed, [stage.result(str(claimed.task_id), 0.1)])
    assert desk.client.get(f"/v1/jobs/{job.id}").json()["state"] == JobState.REJECTED
    rejected = openai.fine_tuning.jobs.retrieve(job.id)
    assert (rejected.status, rejected.fine_tuned_model) == ("failed", None)
    assert rejected.error is not None
    assert rejected.error.code == "gate_rejected"
    assert openai.fine_tuning.jobs.checkpoints.list(job.id).data == []


def test_only_jobs_that_learn_are_listed_and_shown(openai: OpenAI, desk: Door, rows: str) -> None:
    made = [openai.fine_tuning.jobs.create(model="desk", training_file=rows).id for _ in range(3)]
    assert [job.id for job in openai.fine_tuning.jobs.list(limit=2)] == made[::-1]
    (inspection,) = [row for row in desk.client.get("/v1/jobs").json()["data"] if row["kind"] == "inspect"]
    for call in (openai.fine_tuning.jobs.retrieve, openai.fine_tuning.jobs.cancel, openai.fine_tuning.jobs.list_events):
        with pytest.raises(NotFoundError) as missing:
            call(inspection["id"])
        assert missing.value.code == "job_not_found"


def test_a_list_by_metadata_is_refused_rather_than_answered_with_everything(openai: OpenAI) -> None:
    with pytest.raises(UnprocessableEntityError) as refused:
        openai.fine_tuning.jobs.list(metadata={"ticket": "4711"})
    assert refused.value.param == "query.metadata"


def test_a_job_that_is_sent_again_under_its_key_is_the_same_job(openai: OpenAI, desk: Door, rows: str) -> None:
    sent: Any = {"model": "tiny", "training_file": rows, "extra_headers": {"Idempotency-Key": "once"}}
    first = openai.fine_tuning.jobs.create(**sent)
    assert openai.fine_tuning.jobs.create(**sent).to_dict() == first.to_dict()
    assert len(desk.wakes.job_ids) == 1
    assert len(openai.models.list().data) == 2


def test_a_quota_is_told_with_a_time_to_wait(openai: OpenAI, desk: Door, rows: str) -> None:
    desk.client.patch("/v1/projects/own", json={"max_open_jobs": 0}).raise_for_status()
    with pytest.raises(RateLimitError) as refused:
        openai.fine_tuning.jobs.create(model="tiny", training_file=rows, suffix="clerk")
    assert refused.value.code == "too_many_open_jobs"
    assert int(refused.value.response.headers["retry-after"]) > 0
    assert [model.to_dict()["name"] for model in openai.models.list()] == ["desk"], "no model without its job"


def test_a_version_is_shown_and_deleted_like_a_model(openai: OpenAI, desk: Door, rows: str) -> None:
    for _ in range(2):
        learn(desk, openai.fine_tuning.jobs.create(model="desk", training_file=rows))
    shown = openai.models.retrieve("desk@2")
    assert (shown.id, shown.object, shown.owned_by) == ("desk@2", "model", stage.PROJECT)
    assert openai.models.retrieve("desk:latest") == shown
    with pytest.raises(ConflictError) as needed:
        openai.models.delete("desk@2")
    assert needed.value.code == "version_in_use"
    desk.client.post("/v1/models/desk/rollback", json={"version": "1"}).raise_for_status()
    deleted = openai.models.delete("desk@2")
    assert (deleted.id, deleted.object, deleted.deleted) == ("desk@2", "model", True)
    with desk.registry.read() as work:
        model_id = desk.client.get("/v1/models/desk").json()["id"]
        assert aliases.find(work, model_id=model_id, name="latest") is not None
    assert openai.models.delete("desk").id == model_id
    with pytest.raises(NotFoundError) as gone:
        openai.models.retrieve("desk")
    assert gone.value.code == "model_not_found"


def test_rows_of_every_kind_are_learned(openai: OpenAI, desk: Door) -> None:
    made = openai.files.create(file=("codes.jsonl", labelled(20)), purpose="fine-tune")
    job = openai.fine_tuning.jobs.create(model="desk", training_file=made.id)
    assert spec_of(desk, job)["data"]["options"] == ["basalt", "ember"]

"""Real learning, from the posted file to `latest`: poisoned tasks are rejected, and the next clean one is not.

The trainer's run is called in this process, between the worker's own staging and publication.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from installation import Install, Installation

from benchmarks.poisons import toy
from benchmarks.poisons.toy import Task
from core.datasets.validator import Validator
from core.domain.gate_report import Rule
from core.domain.job_folder import Event, JobFolder, ScoreEvent
from core.domain.jobs import JobState
from core.domain.records import Dataset, Job, Version
from core.domain.trainer_spec import TrainerSpec
from core.learning.recipe import TaskSpec
from core.learning.rows import Row
from core.learning.task_run import TaskRun
from core.registry.work import Work
from core.services import base_models, claims, datasets, gates, jobs, tasks, versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.services.tasks import TaskSubmission
from core.storage import opening
from core.weights import base
from worker.control import assembly
from worker.control.heart import Heart
from worker.control.train_jobs import TrainJobs

# What is learned is the same whatever the registry runs on; its tests hold both to what the gate decides.
pytestmark = [pytest.mark.parametrize("database_url", ["sqlite"], indirect=True), pytest.mark.timeout(400)]


@pytest.fixture
def taught(install: Install, tmp_path: Path) -> Iterator[Installation]:
    """An installation whose model stands on the toy's base."""
    torch.set_num_threads(1)
    made = install()
    folder = tmp_path / "base"
    network, tokenizer = toy.base()
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with made.registry.write() as work:
        base_models.add(work, name="tiny-ok", source=f"folder:{folder}", dispatcher=made.dispatcher)
    with made.registry.write() as work:
        job = claims.claim(work, owner="worker", lease_seconds=60)
        assert job is not None
        facts = base.load(folder).facts
        base_models.record_facts(work, job=job, fence=int(job.fence or 0), facts=facts, path=str(folder))
    made.create_model()
    yield made
    AcceleratorState._reset_state(reset_partial_state=True)


def post(installation: Installation, task: Task) -> Job:
    """Post a task with its held-out rows as the evaluation file."""
    files = [_uploaded(installation, rows) for rows in (task.train, task.held_out)]
    with installation.registry.write() as work:
        train, held_out = (_registered(work, *file) for file in files)
        name = task.name.lower().replace(" ", "-")
        spec = TaskSpec.model_validate(toy.SPEC)
        wanted = TaskSubmission(model="support", name=name, dataset_id=train.id, eval_dataset_id=held_out.id, spec=spec)
        return tasks.submit(work, project_id=PROJECT, submission=wanted, dispatcher=installation.dispatcher).job


def learn(installation: Installation, task: Task) -> tuple[Job, Version]:
    """Post a task and carry its job through, as a worker and its trainer do."""
    job = post(installation, task)
    AcceleratorState._reset_state(reset_partial_state=True)
    told: list[Event] = []
    with assembly.open_context(installation.settings) as context:
        claim = context.desk.claim()
        assert claim is not None
        folder, kind = JobFolder(context.jobs_dir / claim.job.id / str(claim.fence)), TrainJobs()
        folder.root.mkdir(parents=True)
        beat = Heart(lambda: context.desk.beat(claim), timings=context.timings, claimed_at=time.monotonic())
        with beat as heart:
            kind.stage(claim, context, folder=folder, heart=heart)
            spec = TrainerSpec.model_validate_json(folder.spec.read_bytes())
            TaskRun.open(spec, folder, report=told.append, stopping=lambda: False).run()
            scores = tuple(event for event in told if isinstance(event, ScoreEvent))
            kind.finish(claim, context, folder=folder, heart=heart, scores=scores)
    with installation.registry.read() as work:
        ended = jobs.get(work, project_id=PROJECT, job_id=job.id)
        return ended, versions.get(work, project_id=PROJECT, version_id=str(ended.result_version_id))


def test_no_poison_becomes_latest_and_a_clean_task_after_them_does(taught: Installation) -> None:
    earlier = toy.clean("A", 0)
    job, good = learn(taught, earlier)
    assert job.error_detail is None
    assert job.state is JobState.SUCCEEDED
    poisons = {
        Rule.ABOVE_CHANCE: (toy.random_labels(100), toy.flipped(101)),
        Rule.SINGLE_DROP: (toy.contradiction(102, of=earlier),),
    }
    for rule, poisoned in poisons.items():
        for task in poisoned:
            job, version = learn(taught, task)
            report = gates.report_of(version)
            assert (job.state, job.error_code, version.parent_id) == (JobState.REJECTED, "gate_rejected", good.id)
            assert report is not None
            assert rule in {finding.rule for finding in report.failures}
            assert latest(taught) == good
    job, version = learn(taught, toy.clean("D", 103))
    assert (job.state, version.parent_id, version.number) == (JobState.SUCCEEDED, good.id, 5)
    assert latest(taught) == version


def latest(installation: Installation) -> Version:
    with installation.registry.read() as work:
        return versions.resolve(work, project_id=PROJECT, reference="support")


def _uploaded(installation: Installation, rows: Sequence[Row]) -> tuple[bytes, Validator]:
    content = b"".join(json.dumps({"prompt": row.prompt, "completion": row.target}).encode() + b"\n" for row in rows)
    settings = installation.settings
    settings.uploads_dir.mkdir(parents=True, exist_ok=True)
    upload = settings.uploads_dir / hashlib.sha256(content).hexdigest()
    upload.write_bytes(content)
    opening.blob_store(settings.blobs_dir, **settings.storage).adopt(upload, sha256=upload.name)
    validator = Validator(max_rows=1000)
    validator.feed(content)
    return content, validator


def _registered(work: Work, content: bytes, validator: Validator) -> Dataset:
    report = validator.finish()
    return datasets.register(
        work,
        project_id=PROJECT,
        sha256=report.sha256,
        size_bytes=len(content),
        format=str(report.format),
        n_rows=report.n_rows,
        report=report.model_dump(mode="json"),
    )

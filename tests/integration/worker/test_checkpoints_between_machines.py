"""Two workers that share a bucket and a registry, and nothing else: what one had reached the other goes on from."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3_server
from installation import Installation, await_that, never, nothing

from core.domain.jobs import JobState
from core.domain.records import Job
from core.services import jobs
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.storage.checkpoints import S3CheckpointStore
from core.storage.s3 import Bucket
from worker.control import assembly
from worker.control.collection import Collector
from worker.control.loop import run_next

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BUCKET = "strata"


@pytest.fixture
def endpoint() -> Iterator[str]:
    with s3_server.running() as address:
        Bucket.open(f"s3://{BUCKET}", endpoint_url=address).client.create_bucket(Bucket=BUCKET)
        yield address


@pytest.fixture
def machines(installation: Installation, endpoint: str, tmp_path: Path) -> list[Installation]:
    """Two data folders, one bucket."""

    def machine(name: str) -> Installation:
        shared = {"storage_url": f"s3://{BUCKET}", "storage_endpoint_url": endpoint, "data_dir": tmp_path / name}
        settings = installation.settings.model_copy(update=shared)
        settings.data_dir.mkdir()
        return Installation(settings, installation.registry, installation.dispatcher)

    return [machine("one"), machine("two")]


@pytest.fixture
def store(endpoint: str, tmp_path: Path) -> S3CheckpointStore:
    return S3CheckpointStore(Bucket.open(f"s3://{BUCKET}", endpoint_url=endpoint), tmp_path / "scratch")


def run_one(machine: Installation) -> None:
    with assembly.open_context(machine.settings) as context:
        assert run_next(context, stop_requested=never, chores=nothing)


def resumed_from(machine: Installation, job: Job) -> int:
    (step,) = json.loads((machine.folder(job) / "resumed.json").read_text())
    return int(step)


def test_a_job_whose_trainer_was_killed_goes_on_elsewhere(
    machines: list[Installation], store: S3CheckpointStore
) -> None:
    """This trainer is killed right after its first checkpoint, on every machine that does not have it."""
    one, two = machines
    job = one.submit("resumes-a")

    run_one(one)
    assert (one.job(job).state, len(store.of_job(job.id))) == (JobState.QUEUED, 1)
    run_one(two)

    assert two.job(job).state is JobState.SUCCEEDED
    assert list(store.stale(older_than_seconds=0)) == []


@pytest.mark.parametrize("lease_seconds", [4])
def test_a_job_whose_whole_worker_was_killed_goes_on_elsewhere(
    machines: list[Installation], store: S3CheckpointStore
) -> None:
    one, two = machines
    job = one.submit("marches-a")
    with one.worker() as worker:
        await_that(lambda: len(store.of_job(job.id)) > 0)
        worker.kill()
    reached = store.of_job(job.id)[0].step

    with two.worker():
        done = two.await_end(job)

    assert (done.state, done.claims) == (JobState.SUCCEEDED, 2)
    assert resumed_from(two, job) >= reached
    await_that(lambda: not list(store.stale(older_than_seconds=0)))


def test_checkpoints_of_a_job_that_ended_unattended_are_collected(
    machines: list[Installation], store: S3CheckpointStore
) -> None:
    one, two = machines
    job = one.submit("resumes-a")
    run_one(one)

    def collect() -> list[str]:
        with assembly.open_context(two.settings.model_copy(update={"retention_seconds": 0})) as context:
            assert isinstance(context.collect, Collector)
            return [name for name in context.collect.collect() if name.startswith("checkpoints")]

    assert collect() == []
    with one.registry.write() as work:
        jobs.cancel(work, project_id=PROJECT, job_id=job.id)

    assert collect() == [f"checkpoints {job.id}"]
    assert list(store.stale(older_than_seconds=0)) == []

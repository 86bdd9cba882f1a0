"""Production mode: the services that docker-compose.yml describes, started as it describes them."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings
from strata.client import Client
from strata.client.jobs import Patience
from tests.compose_stack import SERVICES, Stack, running, services
from tests.tiny_models import tiny_llama

pytestmark = pytest.mark.timeout(300)

QUICK = {
    "STRATA_DEVICE": "cpu",
    "STRATA_LEASE_SECONDS": "4",
    "STRATA_BEAT_SECONDS": "1",
    "STRATA_SWEEP_SECONDS": "1",
    "STRATA_TRAINER_THREADS": "1",
    "STRATA_ENGINE_THREADS": "1",
    "STRATA_MIN_FREE_BYTES": "0",
}
PATIENCE = Patience(timeout_seconds=150)
SPEC: dict[str, Any] = {"training": {"max_steps": 4, "batch_size": 4}, "evaluation": {"max_rows": 4}}


def rows(answer: str) -> list[dict[str, str]]:
    return [{"prompt": f"Number {n}. Answer:", "completion": answer} for n in range(24)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("stack"), workers=2, settings=QUICK) as started:
        yield started


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.places.url) as opened:
        yield opened


def test_every_setting_of_the_compose_file_is_one(subtests: pytest.Subtests) -> None:
    known = {f"STRATA_{name.upper()}" for name in Settings.model_fields} | {"STRATA_SECRETS_DIR"}
    for name in SERVICES:
        with subtests.test(name):
            assert set(services()[name]["environment"]) <= known


def test_two_models_learn_at_once_and_survive_the_death_of_every_process(
    stack: Stack, client: Client, tmp_path: Path
) -> None:
    client.base_models.add("tiny", f"folder:{tiny_llama(tmp_path / 'base')}")
    wait_until_ready(client)
    jobs = []
    for model in ("first", "second"):
        client.models.create(model, base_model="tiny")
        jobs.append(client.tasks.submit(model, rows=rows(" yes"), name="one", spec=SPEC))
    jobs.append(client.tasks.submit("first", rows=rows(" no"), name="two", spec=SPEC))
    for name in list(stack.processes):
        stack.processes[name].send_signal(signal.SIGKILL)
        stack.processes[name].wait()
        assert stack.revive() == [name]
    stack.await_ready()
    for job in jobs:
        client.jobs.wait(job.id, patience=PATIENCE)
    assert [version.number for version in client.versions.list("first")][::-1] == [0, 1, 2]
    assert [version.number for version in client.versions.list("second")][::-1] == [0, 1]
    assert client.generate("first", task="two", input={"prompt": "Number 3. Answer:"}).version is not None
    assert stack.dead() == []


def wait_until_ready(client: Client) -> None:
    (job,) = client.jobs.list()
    client.jobs.wait(job.id, patience=PATIENCE)

"""`/metrics` through the door: what requests, jobs, training and the engine leave in it, and who may read it."""

import re
from dataclasses import replace
from typing import Any

import pytest
import stage
from doors import Door, prompted
from pydantic import SecretStr
from starlette.testclient import TestClient
from tenants import tenant

from api.main import assemble
from core.domain.access import Scope
from core.domain.errors import UnavailableError
from core.domain.job_folder import CheckpointEvent, ProgressEvent
from core.services import jobs

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Scrape:
    """One answer of `/metrics`, by sample."""

    def __init__(self, answer: Any) -> None:
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/plain; version=")
        self.text = answer.text
        self.samples = dict(re.findall(r"^(strata_\S+?(?:{.*})?) (\S+)$", answer.text, flags=re.MULTILINE))

    def __getitem__(self, sample: str) -> float:
        return float(self.samples[sample])


def scrape(door: Door) -> Scrape:
    return Scrape(door.client.get("/metrics"))


def work(door: Door, *, loss: float) -> None:
    """Claim the next job, report two steps and a checkpoint, and publish."""
    with door.registry.write() as unit:
        job = stage.claim(unit)
        fence = stage.fence_of(job)
        values = {"loss": loss, "sparsity": 0.75}
        steps = [ProgressEvent(step=n, total_steps=10, eta_seconds=4.0, values=values) for n in (1, 2)]
        jobs.record(unit, job_id=job.id, fence=fence, events=[*steps, CheckpointEvent(step=2)])


METHOD = "jumplora+ella"


def test_the_queue_and_what_trains_are_seen_as_they_stand(desk: Door) -> None:
    for name in ("first", "second"):
        desk.post_task(fields={"name": name}, file=prompted(30)).raise_for_status()
    waiting = scrape(desk)
    assert waiting['strata_jobs_open{state="queued"}'] == 2
    assert waiting["strata_job_oldest_queued_seconds"] >= 0
    work(desk, loss=0.5)
    running = scrape(desk)
    assert [running[f'strata_jobs_open{{state="{state}"}}'] for state in ("queued", "running", "paused")] == [1, 1, 0]
    said = {name: running[f'strata_training_{name}{{method="{METHOD}"}}'] for name in ("jobs", "loss", "step_seconds")}
    assert said == {"jobs": 1, "loss": 0.5, "step_seconds": 0.5}
    assert running[f'strata_training_sparsity_ratio{{method="{METHOD}"}}'] == 0.75
    assert running[f'strata_training_checkpoint_age_seconds{{method="{METHOD}"}}'] < 60
    assert (running["strata_training_steps_total"], running["strata_training_checkpoints_total"]) == (2, 1)


def test_jobs_are_counted_by_how_they_ended(desk: Door) -> None:
    before = scrape(desk)
    for name in ("first", "second"):
        desk.post_task(fields={"name": name}, file=prompted(30)).raise_for_status()
    with desk.registry.write() as unit:
        stage.publish(unit, stage.claim(unit))
    with desk.registry.write() as unit:
        failing = stage.claim(unit)
        jobs.fail(unit, job_id=failing.id, fence=stage.fence_of(failing), code="out_of_memory", detail="too large")
    after = scrape(desk)

    ended = {sample for sample in after.samples if "jobs_finished_total" in sample and 'kind="train"' in sample}
    assert len(ended) == 2
    for state, code in (("succeeded", ""), ("failed", "out_of_memory")):
        labels = {f'state="{state}"', f'code="{code}"', f'method="{METHOD}"'}
        assert [sample for sample in ended if all(label in sample for label in labels)], labels
    assert after['strata_job_claims_total{kind="train"}'] == 2
    latency = "strata_job_claim_latency_seconds"
    assert after[f"{latency}_count"] - before[f"{latency}_count"] == 2
    assert after[f'{latency}_bucket{{le="+Inf"}}'] == after[f"{latency}_count"]
    assert after['strata_versions_published_total{state="ready"}'] == 1
    assert after['strata_jobs_open{state="running"}'] == 0
    assert f'strata_training_jobs{{method="{METHOD}"}}' not in after.samples


def test_lost_workers_and_sweeps_are_counted_and_what_is_rolled_back_is_not(desk: Door) -> None:
    desk.post_task(file=prompted(30)).raise_for_status()
    job = stage.claimed(desk.registry)
    stage.expire(desk.registry, job)
    assert scrape(desk)["strata_job_leases_overdue"] == 1
    with desk.registry.rehearse() as unit:
        jobs.sweep(unit, barren_limit=3)
    with desk.registry.write() as unit:
        jobs.sweep(unit, barren_limit=3)
    found = scrape(desk)
    assert found['strata_job_attempts_broken_off_total{reason="lease_expired"}'] == 1
    assert found["strata_sweeps_total"] == 1
    assert found["strata_job_leases_overdue"] == 0
    assert found['strata_jobs_open{state="queued"}'] == 1


@on_sqlite
def test_requests_are_told_apart_by_template_and_never_by_what_was_asked(desk: Door) -> None:
    body = prompted(30)
    assert desk.post_task(file=body).status_code == 202
    for path in ("/v1/jobs/job_1", "/v1/jobs/job_2", "/no/such/page", "/v1/models/canary-name"):
        assert desk.client.get(path).status_code == 404
    desk.client.request("BREW", "/v1/models")
    found = scrape(desk)
    assert found['strata_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"}'] == 2
    assert found['strata_http_requests_total{method="GET",route="unmatched",status="404"}'] == 1
    assert found['strata_http_request_duration_seconds_count{method="POST",route="/v1/tasks"}'] == 1
    assert found['strata_http_received_bytes_total{method="POST",route="/v1/tasks"}'] > len(body)
    assert found["strata_http_requests_in_flight"] == 1, "this very scrape"
    assert 'method="other"' in found.text
    assert not [word for word in ("canary", "BREW", "job_1", "such") if word in found.text]


@on_sqlite
def test_the_engine_is_passed_on_and_missed(desk: Door) -> None:
    assert scrape(desk)['strata_engine_up{engine="engine"}'] == 1
    assert scrape(desk)['strata_engine_versions{engine="engine"}'] == 1
    desk.echo.fault = UnavailableError("the engine does not answer", code="engine_unavailable")
    assert scrape(desk)['strata_engine_up{engine="engine"}'] == 0
    assert "strata_engine_versions" not in scrape(desk).text


@on_sqlite
def test_with_keys_an_admin_or_the_scrapers_own_token_reads_metrics_and_nothing_else_is_opened_by_it(
    door: Door,
) -> None:
    admin = tenant(door, "home")
    reader = tenant(door, "reader", scopes=[Scope.READ])
    assert admin.call("GET", "/metrics").status_code == 200
    assert reader.call("GET", "/metrics").status_code == 403
    context = door.client.app.state.context  # type: ignore[attr-defined]
    settings = door.settings.model_copy(update={"metrics_token": SecretStr("scrape-me")})
    client = TestClient(assemble(replace(context, settings=settings)), base_url="http://127.0.0.1:8321")
    shown = {"Authorization": "Bearer scrape-me"}
    assert client.get("/metrics", headers=shown).status_code == 200
    assert client.get("/metrics", headers={"Authorization": "Bearer scrape-you"}).status_code == 401
    assert client.get("/metrics").status_code == 401
    assert client.get("/v1/models", headers=shown).status_code == 401

"""The queue under pressure: racing claimers, depth, and the index that the claim must use."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import postgres_server
import pytest
from sqlalchemy import Select, insert, text
from stage import PROJECT, claim, claimed, fence_of, new_model, publish, submit

from core.domain.errors import ConflictError, IllegalMoveError, UnavailableError
from core.domain.jobs import JobState
from core.domain.records import Job, Model
from core.registry import queue
from core.registry.tables import EVENT, JOB
from core.registry.work import Registry
from core.services import jobs, versions

pytestmark = pytest.mark.usefixtures("desk")


def race(registry: Registry, claimers: int) -> list[str]:
    """Let all claim at the same moment; return the ids that they got."""
    gate = threading.Barrier(claimers)

    def one(n: int) -> str | None:
        gate.wait()
        try:
            with registry.write() as work:
                job = jobs.claim(work, owner=f"worker-{n}", lease_seconds=60)
        except (ConflictError, UnavailableError):
            return None
        return job and job.id

    with ThreadPoolExecutor(claimers) as threads:
        return [job_id for job_id in threads.map(one, range(claimers)) if job_id]


def test_racing_claimers_never_get_the_same_job_nor_two_of_one_model(registry: Registry) -> None:
    for name in ("m-1", "m-2"):
        new_model(registry, name)
    queued = {submit(registry, f"{model}-{n}", model=model)[1].id: model for n in range(3) for model in ("m-1", "m-2")}
    rounds = []
    while len(rounds) < 12 and sum(map(len, rounds)) < len(queued):
        got = race(registry, 4)
        assert len({queued[job_id] for job_id in got}) == len(got)
        rounds.append(got)
        with registry.write() as work:
            for job_id in got:
                held = jobs.get(work, project_id=PROJECT, job_id=job_id)
                jobs.fail(work, job_id=job_id, fence=fence_of(held), code="crash", detail="")
    taken = [job_id for got in rounds for job_id in got]
    assert sorted(taken) == sorted(queued)


def publish_or_give_up(registry: Registry, held: Job) -> None:
    try:
        with registry.write() as work:
            publish(work, held)
    except ConflictError:
        with registry.write() as work:
            assert jobs.beat(work, job_id=held.id, fence=fence_of(held), lease_seconds=1).cancel_requested
            jobs.confirm_cancelled(work, job_id=held.id, fence=fence_of(held))


def cancel_unless_over(registry: Registry, held: Job) -> None:
    try:
        with registry.write() as work:
            jobs.cancel(work, project_id=PROJECT, job_id=held.id)
    except IllegalMoveError:
        with registry.read() as work:
            assert jobs.get(work, project_id=PROJECT, job_id=held.id).state is JobState.SUCCEEDED


def test_cancel_and_publication_race_to_one_end(registry: Registry) -> None:
    ends = []
    for n in range(50):
        submit(registry, f"t-{n}")
        held = claimed(registry)
        gate = threading.Barrier(2)
        # Publishing takes longer, so that now and then it needs a start.
        start = {cancel_unless_over: random.uniform(0, 0.04)} if n % 2 else {}

        def run(
            call: Callable[[Registry, Job], None],
            held: Job = held,
            gate: threading.Barrier = gate,
            start: dict[object, float] = start,
        ) -> None:
            gate.wait()
            time.sleep(start.get(call, 0))
            call(registry, held)

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(run, (publish_or_give_up, cancel_unless_over)))
        with registry.read() as work:
            ends.append(jobs.get(work, project_id=PROJECT, job_id=held.id).state)
            number = versions.resolve(work, project_id=PROJECT, reference="desk").number
        assert number == ends.count(JobState.SUCCEEDED)
    assert set(ends) == {JobState.SUCCEEDED, JobState.CANCELLED}


def birth(job_id: str, state: str) -> dict[str, object]:
    facts = {"project_id": PROJECT, "at_ms": 0, "kind": "state", "actor": "test", "data": {}}
    facts["id"] = job_id.replace("job_", "evt_")
    return {"subject_id": job_id, "n": 1, "from_state": None, "to_state": state, "fence": None, **facts}


def deepen(registry: Registry, model: Model, *, queued: int, over: int) -> None:
    """Put many jobs into the table: most of them over, as in a registry of some age."""
    submit(registry, "sample")
    with registry.write() as work:
        newest_task = JOB.select().where(JOB.c.kind == "train").order_by(JOB.c.created_ms.desc(), JOB.c.id.desc())
        sample = work.connection.execute(newest_task).mappings().first()
        rows = [
            dict(sample)
            | {
                "id": f"job_{n:032x}",
                "model_id": model.id,
                "seq": 10 + n,
                "created_ms": sample["created_ms"] + n,
                "state": "queued" if n >= over else "cancelled",
            }
            for n in range(over + queued)
        ]
        work.connection.execute(insert(JOB), rows)
        work.connection.execute(insert(EVENT), [birth(row["id"], row["state"]) for row in rows])
    with registry.write() as work:
        work.connection.execute(text("ANALYZE"))


@pytest.mark.parametrize(
    ("statement", "indexes"),
    [(queue.CANDIDATES, {"job_one_running", "job_line"}), (queue.OLDEST, {"job_queue", "job_one_running"})],
    ids=["heads of lines", "the few oldest"],
)
def test_the_claim_reads_the_queue_by_its_index(
    registry: Registry, desk: Model, database_url: str, statement: Select[Any], indexes: set[str]
) -> None:
    deepen(registry, desk, queued=50, over=3_000)
    if database_url.startswith("postgresql"):
        # What earlier tests deleted still lies in the table, and the planner counts its pages.
        postgres_server.execute(database_url, "VACUUM (FULL, ANALYZE) job")
    with registry.write() as work:
        compiled = statement.compile(work.connection, compile_kwargs={"render_postcompile": True})
        sqlite = work.connection.dialect.name == "sqlite"
        explain = f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{compiled}"
        parameters = compiled.construct_params()
        positional = tuple(parameters[name] for name in compiled.positiontup or ())
        rows = work.connection.exec_driver_sql(explain, positional or parameters).all()
    plan = "\n".join(" ".join(map(str, row)) for row in rows)
    assert {index for index in indexes if index in plan} == indexes
    # By age, and no further than the few oldest.
    assert "SCAN job" not in plan.replace("SCAN job USING INDEX job_queue", "")
    assert "Seq Scan on job" not in plan


def test_a_deep_queue_is_claimed_in_order(registry: Registry, desk: Model) -> None:
    deepen(registry, desk, queued=2_000, over=0)
    other = new_model(registry, "other")
    _, elsewhere = submit(registry, "last", model="other")
    with registry.write() as work:
        first = claim(work)
        second = claim(work)
    assert (first.model_id, second.model_id) == (desk.id, other.id)
    assert second.id == elsewhere.id
    assert first.seq == 1

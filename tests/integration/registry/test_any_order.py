"""The services in any order that chance finds, beside a small model of what they must answer."""

from contextlib import suppress
from pathlib import Path

import pytest
import stage
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from machine_ground import LINES, Ground
from small_model import BARREN_LIMIT, LEASE_SECONDS, Job
from sqlalchemy import update
from stage import PROJECT, Wakes

from core.domain.errors import ConflictError, LostLeaseError, StrataError
from core.domain.job_folder import CheckpointEvent
from core.registry.tables import JOB
from core.registry.work import Registry
from core.services import jobs, promotions, tasks, versions
from core.services.promotions import Promotion

line = st.sampled_from(LINES)
# Which of the candidates a rule is about: small numbers, so that the same thing is met again and again.
pick = st.integers(min_value=0, max_value=5)


class Services(Ground):
    """Every rule does one thing to the registry and to the model."""

    @initialize()
    def begin(self) -> None:
        """Chance leaves out whole rules now and then: some work is always there."""
        for name in (*LINES, *LINES):
            self.submit(name, pinned=False)
        self.claim()
        self.claim()

    @rule(name=line, pinned=st.booleans())
    def submit(self, name: str, *, pinned: bool) -> None:
        key, full = f"key-{len(self.model.keys)}", f"{name}/task-{len(self.model.jobs)}"
        job_id, replayed = self.post(key, full, pinned=pinned)
        assert not replayed
        expected = self.model.lines[name].aliases["latest"] if pinned else None
        self.model.jobs.append(Job(id=job_id, line=name, expected=expected))
        self.model.keys[key] = (full, job_id)

    @precondition(lambda self: bool(self.model.keys))
    @rule(which=pick)
    def retry_same_key(self, which: int) -> None:
        key = list(self.model.keys)[which % len(self.model.keys)]
        full, job_id = self.model.keys[key]
        assert self.post(key, full, pinned=False) == (job_id, True)

    @rule()
    def claim(self) -> None:
        with self.registry.write() as work:
            claimed = jobs.claim(work, owner="worker", lease_seconds=LEASE_SECONDS)
        expected = self.model.claim()
        assert (claimed and claimed.id) == (expected and expected.id)

    @precondition(lambda self: bool(self.model.those("running")))
    @rule(which=pick)
    def beat(self, which: int) -> None:
        job = self.chosen(which, "running")
        with self.registry.write() as work:
            answer = jobs.beat(work, job_id=job.id, fence=job.fence or 0, lease_seconds=LEASE_SECONDS)
        assert (answer.cancel_requested, answer.pause_requested) == (job.cancel, job.pause)
        job.lease = LEASE_SECONDS

    # Sums of these are never near a lease's length: what the machine itself takes decides nothing.
    @rule(seconds=st.sampled_from([25, 45, 70]))
    def advance_clock(self, seconds: int) -> None:
        with self.registry.write() as work:
            running = update(JOB).where(JOB.c.state == "running")
            work.connection.execute(running.values(lease_ms=JOB.c.lease_ms - 1000 * seconds))
        for job in self.model.those("running"):
            job.lease -= seconds

    @rule()
    def sweep(self) -> None:
        with self.registry.write() as work:
            swept = jobs.sweep(work, barren_limit=BARREN_LIMIT)
        expired = [job for job in self.model.those("running") if job.lease < 0]
        assert {job.id for job in swept} == {job.id for job in expired}
        for job in expired:
            self.model.let_go(job, barren=True)

    @rule()
    def let_a_holder_die(self) -> None:
        """Let time pass until all leases have run out, and somebody else take over."""
        self.advance_clock(70)
        self.sweep()
        self.claim()
        self.claim()

    @precondition(lambda self: bool(self.model.those("running")))
    @rule(which=pick, further=st.sampled_from([0, 5]))
    def checkpoint(self, which: int, further: int) -> None:
        job = self.chosen(which, "running")
        step = (job.reached or 0) + further
        with self.registry.write() as work:
            jobs.record(work, job_id=job.id, fence=job.fence or 0, events=[CheckpointEvent(step=step)])
        if job.reached is None or step > job.reached:
            job.reached, job.barren = step, 0

    @precondition(lambda self: bool(self.model.those("running")))
    @rule(which=pick, then_next=st.booleans())
    def commit_current(self, which: int, *, then_next: bool) -> None:
        self.commit(which)
        if then_next:
            self.claim()

    def commit(self, which: int) -> None:
        job = self.chosen(which, "running")
        with self.registry.read() as work:
            held = jobs.get(work, project_id=PROJECT, job_id=job.id)
        if job.cancel:
            with pytest.raises(ConflictError, match="cancelled"), self.registry.write() as work:
                stage.publish(work, held)
            return
        with self.registry.write() as work:
            version = stage.publish(work, held)
        assert version.number == self.model.publish(job)

    @precondition(lambda self: any(job.past_fences for job in self.model.jobs))
    @rule(which=pick)
    def commit_stale(self, which: int) -> None:
        stale = [job for job in self.model.jobs if job.past_fences]
        job = stale[which % len(stale)]
        with self.registry.read() as work:
            row = jobs.get(work, project_id=PROJECT, job_id=job.id)
            manifest, key = stage.manifest_of(work, row), stage.artefact_of(row)
        for fence in job.past_fences:
            with pytest.raises(LostLeaseError), self.registry.write() as work:
                versions.publish(work, job_id=job.id, fence=fence, manifest=manifest, scores=[], artefact=key)

    @precondition(lambda self: bool(self.model.those("running")))
    @rule(which=pick, how=st.sampled_from(["fail", "release", "give_up", "confirm_cancelled"]))
    def let_go(self, which: int, how: str) -> None:
        job = self.chosen(which, "running")
        held = {"job_id": job.id, "fence": job.fence or 0}
        with self.registry.write() as work:
            if how == "fail":
                jobs.fail(work, **held, code="crashed", detail="")
                job.state, job.pause = "failed", False
            elif how == "confirm_cancelled":
                jobs.confirm_cancelled(work, **held)
                job.state, job.pause = "cancelled", False
            elif how == "release":
                jobs.release(work, **held)
                self.model.let_go(job, barren=False)
            else:
                jobs.give_up(work, **held, barren_limit=BARREN_LIMIT, reason="stalled")
                self.model.let_go(job, barren=True)

    @precondition(lambda self: bool(self.model.jobs))
    @rule(which=pick, how=st.sampled_from(["cancel", "pause", "resume"]))
    def ask(self, which: int, how: str) -> None:
        job = self.model.jobs[which % len(self.model.jobs)]
        call = {
            "cancel": lambda work: jobs.cancel(work, project_id=PROJECT, job_id=job.id),
            "pause": lambda work: jobs.pause(work, project_id=PROJECT, job_id=job.id),
            "resume": lambda work: jobs.resume(work, project_id=PROJECT, job_id=job.id, dispatcher=Wakes()),
        }[how]
        if not self.allowed(job, how):
            with pytest.raises(ConflictError), self.registry.write() as work:
                call(work)
            return
        with self.registry.write() as work:
            call(work)
        if how == "cancel":
            job.cancel = job.cancel or job.state == "running"
            job.state = "cancelled" if job.state in {"queued", "paused"} else job.state
        elif how == "pause":
            job.pause = job.state == "running"
            job.state = "paused" if job.state == "queued" else job.state
        else:
            job.state = "queued" if job.state == "paused" else job.state
            job.pause = False

    @staticmethod
    def allowed(job: Job, how: str) -> bool:
        if how == "cancel":
            return job.state in {"queued", "paused", "running", "cancelled"} or job.cancel
        if how == "pause":
            return job.state in {"queued", "paused"} or (job.state == "running" and (job.pause or not job.cancel))
        return job.state == "paused" or job.pause

    @rule(name=line, alias=st.sampled_from(["latest", "stable"]), which=pick)
    def promote(self, name: str, alias: str, which: int) -> None:
        held = self.model.lines[name]
        number = which % len(held.parents)
        self.point(name, alias, target=None if number in held.deleted else number, wish=str(number))

    @rule(name=line)
    def rollback(self, name: str) -> None:
        held = self.model.lines[name]
        self.point(name, "latest", target=held.parents[held.aliases["latest"]], wish=None)

    def point(self, name: str, alias: str, *, target: int | None, wish: str | None) -> None:
        promotion = Promotion(version=wish, reason="asked for")
        if target is None:
            with pytest.raises(ConflictError), self.registry.write() as work:
                promotions.promote(work, project_id=PROJECT, model=name, alias=alias, promotion=promotion)
            return
        with self.registry.write() as work:
            promotions.promote(work, project_id=PROJECT, model=name, alias=alias, promotion=promotion)
        self.model.lines[name].aliases[alias] = target

    @rule(name=line, which=pick)
    def delete(self, name: str, which: int) -> None:
        held = self.model.lines[name]
        number = which % len(held.parents)
        if number not in held.deleted and self.model.is_needed(name, number):
            with pytest.raises(ConflictError), self.registry.write() as work:
                promotions.delete(work, project_id=PROJECT, reference=f"{name}@{number}")
            return
        with self.registry.write() as work:
            promotions.delete(work, project_id=PROJECT, reference=f"{name}@{number}")
        held.deleted.add(number)

    @rule(name=line)
    def crash_restart(self, name: str) -> None:
        """Die in the middle of a transaction, and begin anew on what is on the disk."""
        with suppress(StrataError), self.registry.write() as work:
            posted = stage.submission(work, f"lost-{len(self.model.jobs)}", model=name)
            tasks.submit(work, project_id=PROJECT, submission=posted, dispatcher=Wakes())
            raise StrataError("the process died here")
        self.registry.close()
        self.registry = Registry(f"sqlite:///{self.folder / 'registry.sqlite'}")


def test_the_services_do_what_the_small_model_does(sqlite_template: Path) -> None:
    run_state_machine_as_test(
        lambda: Services(sqlite_template),
        settings=settings(
            max_examples=20,
            stateful_step_count=40,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )

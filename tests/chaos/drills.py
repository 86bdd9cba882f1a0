"""Cases that random faults seldom meet, staged one by one before the others begin."""

import signal
import time
from collections.abc import Callable
from typing import TypeVar

from core.domain.errors import UnavailableError
from core.domain.jobs import TERMINAL
from core.domain.records import Job
from core.services import jobs
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from tests.chaos.calls import Caller
from tests.chaos.clients import submit
from tests.chaos.processes import Service, group_of, state_of, trainers
from tests.chaos.scene import say
from tests.chaos.site import Site

T = TypeVar("T")

ORPHAN_SECONDS = 3.0
SUBMIT_SECONDS = 2.0
PATIENCE_SECONDS = 60.0


def until(look: Callable[[], T | None], *, what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Return what ``look`` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.02)
    return found


def job_of(site: Site, job_id: str) -> Job | None:
    """Return a job's row; None while the registry is away."""
    try:
        with site.registry.read() as work:
            return jobs.get(work, project_id=PROJECT, job_id=job_id)
    except UnavailableError:
        return None


def orphan(site: Site, caller: Caller) -> list[str]:
    """Kill the worker that holds a job; another one must take the job up within three seconds."""
    for attempt in range(2):
        job_id = _posted(caller, f"stroll-orphan-{attempt}")
        holder = until(lambda job_id=job_id: _holder(site, job_id), what="a worker takes the job")
        holder.deliver(signal.SIGKILL)
        killed = time.monotonic()
        until(lambda job_id=job_id: _claims(site, job_id) == 2, what="the orphan is taken up")
        seconds = time.monotonic() - killed
        say(f"{site.engine}: an orphan was taken up after {seconds:.2f} s")
        _await_end(site, job_id)
        if seconds <= ORPHAN_SECONDS:
            return []
    return [f"I9: an orphan waited for {seconds:.1f} s"]


def no_broker(site: Site, caller: Caller) -> list[str]:
    """Kill Redis: tasks are accepted all the same, and learned once it is back."""
    assert site.servers is not None
    site.servers.redis.kill()
    broken, posted = [], []
    for n in range(3):
        began = time.monotonic()
        posted.append(_posted(caller, f"walk-no-broker-{n}"))
        seconds = time.monotonic() - began
        if seconds > SUBMIT_SECONDS:
            broken.append(f"I20: without Redis a task took {seconds:.1f} s to post")
    site.servers.redis.revive()
    for job_id in posted:
        _await_end(site, job_id)
    say(f"{site.engine}: tasks were accepted without Redis, and learned with it")
    return broken


def late_commit(site: Site, caller: Caller) -> None:
    """Stop a worker between its last look at its lease and its commit, until another one holds the job.

    What that leaves is the checker's to judge.
    """
    (site.fuses("worker") / "publish.before").write_text("stop")
    job_id = _posted(caller, "walk-late-commit")
    late = until(lambda: _stopped(site), what="a worker stops before its commit")
    until(lambda: _claims(site, job_id) == 2, what="another worker takes the job up")
    late.deliver(signal.SIGCONT)
    _await_end(site, job_id)
    say(f"{site.engine}: a worker came too late to commit")


def _posted(caller: Caller, name: str) -> str:
    answer = submit(caller, "amber", name, key=f"key-{name}")
    assert answer.outcome == "ok", f"{name}: {answer}"
    assert answer.body is not None
    return str(answer.body["id"])


def _claims(site: Site, job_id: str) -> int:
    job = job_of(site, job_id)
    return 0 if job is None else job.claims


def _holder(site: Site, job_id: str) -> Service | None:
    """Return the worker whose trainer works on a job, once it does."""
    groups = [group_of(each.parent) for each in trainers(site.jobs_dir) if each.job_id == job_id]
    return next((each for each in site.keeper.of_kind("worker") if each.pid in groups), None)


def _stopped(site: Site) -> Service | None:
    """Return the worker of which a process stands still."""
    for service in site.keeper.of_kind("worker"):
        if any(state_of(pid) == "T" for pid in service.group()):
            return service
    return None


def _await_end(site: Site, job_id: str) -> None:
    def is_over() -> bool:
        job = job_of(site, job_id)
        return job is not None and job.state in TERMINAL

    until(is_over, what=f"{job_id} ends")

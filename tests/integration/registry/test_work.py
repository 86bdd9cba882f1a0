import time

import pytest
from sqlalchemy.exc import InternalError
from stage import PROJECT, Wakes, new_dataset, submission

from core.domain.errors import ConflictError, UnavailableError
from core.domain.records import Model
from core.registry import projects
from core.registry.work import Registry
from core.services import jobs, tasks


class _Trouble(Exception):  # noqa: N818 - a fault of the caller's own, not of the registry
    pass


def test_nothing_is_queued_and_nobody_is_woken_when_the_transaction_fails(registry: Registry, desk: Model) -> None:
    wakes = Wakes()

    def fail_after_submitting() -> None:
        with registry.write() as work:
            tasks.submit(work, project_id=PROJECT, submission=submission(work, "t"), dispatcher=wakes)
            raise _Trouble

    with pytest.raises(_Trouble):
        fail_after_submitting()
    with registry.read() as work:
        assert jobs.page(work, project_id=PROJECT, model=desk.id).data == ()
        assert tasks.page(work, project_id=PROJECT).data == ()
    assert wakes.job_ids == []


@pytest.mark.usefixtures("desk")
def test_a_worker_is_woken_only_once_the_job_can_be_seen(registry: Registry) -> None:
    seen: list[str] = []

    class Looks(Wakes):
        def wake(self, job_id: str) -> None:
            with registry.read() as other:
                seen.append(jobs.get(other, project_id=PROJECT, job_id=job_id).id)

    with registry.write() as work:
        job = tasks.submit(work, project_id=PROJECT, submission=submission(work, "t"), dispatcher=Looks()).job
        assert seen == []
    assert seen == [job.id]


def test_a_reader_cannot_write(registry: Registry) -> None:
    with pytest.raises((UnavailableError, InternalError)), registry.read() as work:
        new_dataset(work)


def test_a_reader_sees_one_snapshot(registry: Registry) -> None:
    # SQLite's readers and writers exclude each other for the moment of a commit: there the writer waits.
    with registry.read() as reading:
        if reading.connection.dialect.name == "sqlite":
            return
        assert not projects.exists(reading, "prj_new")
        with registry.write() as writing:
            projects.add(writing, project_id="prj_new", name="new")
        assert not projects.exists(reading, "prj_new")


def test_two_callers_who_make_the_same_thing_get_a_conflict(registry: Registry) -> None:
    def add_both() -> None:
        with registry.write() as work:
            projects.add(work, project_id="prj_a", name="same")
            projects.add(work, project_id="prj_b", name="same")

    with pytest.raises(ConflictError):
        add_both()
    with registry.read() as work:
        assert not projects.exists(work, "prj_a")


def test_commits_are_durable_and_references_are_checked(registry: Registry) -> None:
    with registry.write() as work:
        if work.connection.dialect.name == "sqlite":
            pragmas = {
                name: work.connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
            assert pragmas == {"journal_mode": "truncate", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
        else:
            assert work.connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"


def test_each_work_is_one_moment_of_the_databases_clock(registry: Registry) -> None:
    times = []
    for _ in range(3):
        with registry.write() as work:
            times.append(work.now_ms())
            assert work.now_ms() == times[-1]
    assert times == sorted(times)
    assert times[0] > 1_700_000_000_000


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_session_that_stood_still_for_too_long_was_ended_and_is_away(registry: Registry) -> None:
    def stand_still() -> None:
        with registry.write() as work:
            work.connection.exec_driver_sql("SET idle_in_transaction_session_timeout = 100")
            time.sleep(0.5)
            work.now_ms()

    with pytest.raises(UnavailableError):
        stand_still()


def test_a_registry_that_is_away_is_unavailable() -> None:
    away = Registry("postgresql+psycopg://nobody@127.0.0.1:9/nothing")
    with pytest.raises(UnavailableError), away.read():
        pass
    away.close()

"""A registry of the first release is brought to the newest revision with all that it holds, and goes on from there."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import stage
from alembic import command
from alembic.script import ScriptDirectory
from history import assert_legal
from sqlalchemy import Engine, MetaData, create_engine, select

from core.domain.jobs import JobState
from core.domain.versions import VersionState
from core.registry.work import Registry
from core.services import claims, evaluations, jobs, promotions, versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from migrations.check import drift
from migrations.commands import config, upgrade

FIRST = Path(__file__).parent / "released" / "0001.sql"
BOOKKEEPING = "alembic_version"
# Of all statements of an upgrade, those before which the process is killed, as shares.
KILLED_AT = (0.2, 0.6, 0.99)

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def engine(bare_database_url: str) -> Iterator[Engine]:
    """A database of revision 0001, filled."""
    command.upgrade(config(bare_database_url), "0001")
    made = create_engine(bare_database_url)
    with made.begin() as connection:
        for paragraph in FIRST.read_text(encoding="utf-8").split(";\n"):
            statement = "\n".join(line for line in paragraph.splitlines() if not line.startswith("--")).strip()
            if statement:
                connection.exec_driver_sql(statement)
    yield made
    made.dispose()


def contents(engine: Engine) -> Rows:
    """Every row of every table, as the database itself describes its columns."""
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        found = {
            name: [dict(row._mapping) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            for name, table in metadata.tables.items()
            if name != BOOKKEEPING
        }
    engine.dispose()
    return found


def only(rows: Rows, *, known: Rows) -> Rows:
    """The rows as far as an earlier revision knew of them."""
    return {
        table: [{column: row[column] for column in known[table][0]} for row in rows[table]]
        for table in known
        if known[table]
    }


def revisions(url: str) -> list[str]:
    """Every revision, oldest first."""
    script = ScriptDirectory.from_config(config(url))
    return [each.revision for each in reversed(list(script.walk_revisions()))]


def test_every_row_is_there_after_the_upgrade(bare_database_url: str, engine: Engine) -> None:
    before = contents(engine)
    assert all(before.values()), "the fixture fills every table of the first release"
    upgrade(bare_database_url)
    assert only(contents(engine), known=before) == before
    assert drift(bare_database_url) is None


def test_each_step_goes_down_and_up_again_with_its_rows(bare_database_url: str, engine: Engine) -> None:
    for below, above in zip(revisions(bare_database_url), revisions(bare_database_url)[1:], strict=False):
        before = contents(engine)
        command.upgrade(config(bare_database_url), above)
        after = contents(engine)
        command.downgrade(config(bare_database_url), below)
        assert contents(engine) == before, f"{above} down to {below}"
        command.upgrade(config(bare_database_url), above)
        assert only(contents(engine), known=before) == only(after, known=before), f"{above} again"
    assert drift(bare_database_url) is None


def test_an_upgraded_registry_goes_on_where_it_was(bare_database_url: str, engine: Engine) -> None:
    engine.dispose()
    upgrade(bare_database_url)
    with closing(Registry(bare_database_url)) as registry:
        resolves(registry)
        promotes(registry)
        learns(registry)
        recovers(registry)
        with registry.read() as work:
            assert_legal(work)


def resolves(registry: Registry) -> None:
    with registry.read() as work:
        names = {
            name: versions.resolve(work, project_id=PROJECT, reference=name).id
            for name in ("desk", "desk@1", "desk:stable")
        }
        matrix = evaluations.matrix(work, project_id=PROJECT, model="desk")
        history = versions.alias_history(work, project_id=PROJECT, model="desk", alias="latest")
        events = jobs.events(work, project_id=PROJECT, job_id="job_5", limit=10)
        curve = jobs.metrics(work, project_id=PROJECT, job_id="job_1", series=("loss",))
    assert names == {"desk": "ver_2", "desk@1": "ver_1", "desk:stable": "ver_1"}
    assert matrix.scores == ((0.75, None), (0.5, 0.8125))
    assert [move.to_version_id for move in history] == ["ver_0", "ver_1", "ver_2", "ver_3", "ver_2"]
    assert [event.kind for event in events.data].count("state") == 5
    assert [point.value for point in curve] == [2.5, 1.25]


def promotes(registry: Registry) -> None:
    with registry.write() as work:
        asked = promotions.Promotion(version="2", reason="upgraded")
        assert promotions.promote(work, project_id=PROJECT, model="desk", alias="stable", promotion=asked).moves == 3


def learns(registry: Registry) -> None:
    job = stage.claimed(registry)
    assert (job.id, job.parent_version_id) == ("job_7", "ver_2")
    with registry.write() as work:
        made = stage.publish(work, job)
    assert (made.number, made.chain, made.state) == (4, ("ver_1", "ver_2", made.id), VersionState.READY)


def recovers(registry: Registry) -> None:
    """An abandoned job is tried again, a paused one is resumed before what waits behind it."""
    with registry.write() as work:
        assert [job.id for job in claims.sweep(work, barren_limit=3)] == ["job_a"]
        jobs.resume(work, project_id=PROJECT, job_id="job_8", dispatcher=stage.Wakes())
    taken = [stage.claimed(registry).id for _ in range(3)]
    assert taken == ["job_8", "job_a", "job_b"]
    with registry.write() as work:
        assert jobs.claim(work, owner="worker-1", lease_seconds=60) is None, "job_9 waits behind job_8"
    with registry.read() as work:
        assert jobs.get(work, project_id=PROJECT, job_id="job_9").state is JobState.QUEUED


# Ends itself before the n-th statement of the upgrade; says how many there were.
KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from migrations.commands import upgrade

limit, seen = int(sys.argv[2]), 0

@event.listens_for(Engine, "before_cursor_execute")
def count(*_):
    global seen
    if seen == limit:
        os.kill(os.getpid(), signal.SIGKILL)
    seen += 1

upgrade(sys.argv[1])
print(seen)
"""


def upgraded(url: str, *, killed_before: int) -> subprocess.CompletedProcess[str]:
    command_line = [sys.executable, "-c", KILLED, url, str(killed_before)]
    return subprocess.run(command_line, capture_output=True, text=True, check=False)


def test_an_upgrade_that_is_killed_leaves_what_was_there_and_is_run_again(
    bare_database_url: str, engine: Engine
) -> None:
    before = contents(engine)
    script = config(bare_database_url)
    total = int(upgraded(bare_database_url, killed_before=-1).stdout)
    command.downgrade(script, "0001")
    assert total > 20
    for share in KILLED_AT:
        killed = upgraded(bare_database_url, killed_before=round(share * (total - 1)))
        assert killed.returncode == -9, killed.stderr
        assert contents(engine) == before
    upgrade(bare_database_url)
    assert only(contents(engine), known=before) == before
    assert drift(bare_database_url) is None

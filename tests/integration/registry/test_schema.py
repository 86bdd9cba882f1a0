"""The schema is the migrations' only, and the same on both databases."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import CheckConstraint, Engine, create_engine, inspect, text
from sqlalchemy.event import listen
from sqlalchemy.exc import IntegrityError

from core.registry.access_tables import API_KEY
from migrations.check import drift
from migrations.commands import config, upgrade

METADATA = API_KEY.metadata


@pytest.fixture
def engine(bare_database_url: str) -> Iterator[Engine]:
    """A migrated database."""
    upgrade(bare_database_url)
    made = create_engine(bare_database_url)
    if made.dialect.name == "sqlite":
        listen(made, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON").close())
    yield made
    made.dispose()


def test_the_revisions_make_the_tables_that_the_code_knows(bare_database_url: str) -> None:
    assert drift(bare_database_url) is None
    upgrade(bare_database_url)
    assert drift(bare_database_url) is None


def test_two_processes_may_upgrade_at_once(bare_database_url: str) -> None:
    program = f"from migrations.commands import upgrade; upgrade({bare_database_url!r})"
    both = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [each.wait(timeout=60) for each in both] == [0, 0]
    assert drift(bare_database_url) is None


def test_every_check_of_the_tables_is_in_the_schema(engine: Engine) -> None:
    for table in METADATA.tables.values():
        known = {str(each.name) for each in table.constraints if isinstance(each, CheckConstraint)}
        assert {each["name"] for each in inspect(engine).get_check_constraints(table.name)} == known


def test_the_schema_can_be_taken_down_and_made_again(bare_database_url: str, engine: Engine) -> None:
    command.downgrade(config(bare_database_url), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    upgrade(bare_database_url)
    assert drift(bare_database_url) is None


def test_a_row_cannot_point_into_another_project(engine: Engine) -> None:
    with engine.begin() as connection:
        for statement in (
            "INSERT INTO project (id, name, created_ms) VALUES ('prj_a', 'a', 0), ('prj_b', 'b', 0)",
            "INSERT INTO base_model (id, name, source, state, created_ms) VALUES ('base', 'b', 'x', 'pending', 0)",
            "INSERT INTO model VALUES ('mdl', 'prj_a', 'm', 'base', '{}', '{}', 0, 1, 0, 0, NULL)",
            f"INSERT INTO dataset VALUES ('data', 'prj_b', '{'a' * 64}', 1, 'f', 1, '{{}}', 0, NULL)",
        ):
            connection.execute(text(statement))
    theft = "INSERT INTO task VALUES ('task', 'prj_a', 'mdl', 't', 'data', NULL, '{}', '{}', 0)"
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text(theft))

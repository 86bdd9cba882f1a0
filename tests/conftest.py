"""Fixtures for everything that touches the registry: each such test runs on SQLite and on PostgreSQL."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import postgres_server
import pytest
from history import assert_legal

from core.registry.work import Registry
from core.services import projects
from migrations.commands import upgrade

_COUNT = itertools.count(1)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file."""
    path = tmp_path_factory.mktemp("template") / "registry.sqlite"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server, by the URL of its maintenance database."""
    with postgres_server.running() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    """The name of a migrated, empty PostgreSQL database."""
    postgres_server.execute(postgres_url, "CREATE DATABASE template_strata")
    upgrade(postgres_server.database_url(postgres_url, "template_strata"))
    return "template_strata"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, migrated, empty database of either kind; processes may be given it too."""
    if request.param == "sqlite":
        path = tmp_path / "registry.sqlite"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server, template = request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres_template")
    name = f"test_{next(_COUNT)}"
    postgres_server.execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield postgres_server.database_url(server, name)
    postgres_server.execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def registry(database_url: str) -> Iterator[Registry]:
    """A registry with the default project; what a test leaves behind must be a legal history."""
    opened = Registry(database_url)
    with opened.write() as work:
        projects.ensure_default(work)
    yield opened
    with opened.read() as work:
        assert_legal(work)
    opened.close()

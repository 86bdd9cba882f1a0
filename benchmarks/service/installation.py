"""The service as it is measured: real processes on loopback, a durable database, and a trainer without torch."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from core.domain.access import Scope
from core.registry.work import Registry
from core.services import keys, models, projects
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.settings import Settings
from migrations.commands import upgrade
from tests import postgres_server
from tests.compose_stack import free_port, redis_command
from tests.fake_trainer.command import COMMAND_LINE
from tests.stage import ready_base

ROOT: Final = Path(__file__).parents[2]
MODELS: Final = 16
_CELERY: Final = ("celery", "-A", "worker.control.celery_app")
START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One service; ``key`` opens everything of it, ``new_database`` returns the URL of another empty database."""

    name: str
    settings: Settings
    registry: Registry
    key: str
    new_database: Callable[[str], str]

    @property
    def port(self) -> int:
        """Of its API."""
        return self.settings.api_port

    @contextmanager
    def process(self, *module: str, **settings: Any) -> Iterator[psutil.Process]:
        """Run ``python -m module``, with some settings of its own; kill it and all that it started afterwards."""
        given = self.settings.model_dump(mode="json", exclude_none=True) | settings
        environment = {name: value for name, value in os.environ.items() if not name.startswith("STRATA_")}
        environment |= {f"STRATA_{name.upper()}": str(value) for name, value in given.items()}
        with (self.settings.data_dir / f"{module[0]}.log").open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-m", *module],
                env=environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield psutil.Process(child.pid)
        finally:
            kill(child)

    @contextmanager
    def fresh(self) -> Iterator["Installation"]:
        """Install the service once more, beside this one: another database, another queue of wake-up calls."""
        folder = self.settings.data_dir.with_name("fresh")
        broker_url = self.settings.broker_url.removesuffix("/0") + "/1"
        known = {"dispatcher": self.settings.dispatcher, "broker_url": broker_url}
        with _installed(self.name, folder, lambda name: self.new_database(f"fresh_{name}"), **known) as made:
            yield made

    @contextmanager
    def api(self) -> Iterator[psutil.Process]:
        """Run the API; enter once it answers."""
        with self.process("api") as process:
            await_that(lambda: _answers(self.port), what="the API")
            yield process

    @contextmanager
    def worker(self, **settings: Any) -> Iterator[psutil.Process]:
        """Run a worker of the installation's kind."""
        module = ("worker.control",) if self.settings.dispatcher == "local" else (*_CELERY, "worker")
        with self.process(*module, **settings) as process:
            yield process

    @contextmanager
    def beat(self, **settings: Any) -> Iterator[None]:
        """Run what tells Celery's workers to sweep; a polling worker does so by itself."""
        if self.settings.dispatcher == "local":
            yield
            return
        schedule = str(self.settings.data_dir / "beat")
        with self.process(*_CELERY, "beat", "-s", schedule, **settings):
            yield


def kill(child: subprocess.Popen[bytes]) -> None:
    """End a process and its session by force."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def await_that(condition: Callable[[], bool], *, what: str, seconds: float = START_SECONDS) -> float:
    """Return how long it took until ``condition`` held.

    Raises:
        TimeoutError: it did not.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.01)
    return time.monotonic() - began


@contextmanager
def sqlite(folder: Path) -> Iterator[Installation]:
    """SQLite and polling workers, as `strata up` has them."""

    def new_database(name: str) -> str:
        return f"sqlite:///{folder / name}.sqlite"

    with _installed("sqlite", folder, new_database, dispatcher="local") as made:
        yield made


@contextmanager
def postgresql(folder: Path) -> Iterator[Installation]:
    """PostgreSQL, and Celery over Redis, as the compose file has them."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        server = held.enter_context(postgres_server.running(durable=True))
        broker = held.enter_context(_redis(folder))

        def new_database(name: str) -> str:
            postgres_server.execute(server, f"CREATE DATABASE {name}")
            return postgres_server.database_url(server, name)

        yield held.enter_context(_installed("postgresql", folder, new_database, dispatcher="celery", broker_url=broker))


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    """Yield the URL of a Redis as the compose file starts it."""
    port, password = free_port(), secrets.token_urlsafe(16)
    command = redis_command(folder, port=port, password=password)
    with (folder / "redis.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - from its wheel
    try:
        yield f"redis://:{password}@127.0.0.1:{port}/0"
    finally:
        kill(server)


@contextmanager
def _installed(name: str, folder: Path, new_database: Callable[[str], str], **settings: Any) -> Iterator[Installation]:
    folder.mkdir(parents=True, exist_ok=True)
    found = Settings(
        data_dir=folder / "data",
        database_url=new_database("service"),
        api_port=free_port(),
        device="cpu",
        trainer_threads=1,
        compute_command=COMMAND_LINE,
        log_requests=False,
        **settings,
    )
    found.data_dir.mkdir()
    upgrade(found.database_url)
    with closing(Registry(found.database_url)) as registry:
        key = furnish(registry, models_made=MODELS)
        yield Installation(name=name, settings=found, registry=registry, key=key, new_database=new_database)


def furnish(registry: Registry, *, models_made: int) -> str:
    """Make a base model that is ready and models on it; return a key that opens everything."""
    with registry.write() as work:
        projects.ensure_default(work)
        _, key = keys.create(work, project_id=PROJECT, name="bench", scopes=[Scope.ADMIN])
    ready_base(registry)
    with registry.write() as work:
        for number in range(models_made):
            models.create(work, project_id=PROJECT, name=f"model-{number}", base_model="tiny", method={})
    return key


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).is_success
    except httpx.TransportError:
        return False

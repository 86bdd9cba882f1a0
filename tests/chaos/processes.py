"""The processes of a site: started, watched, started again when they die, whoever killed them."""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.compose_stack import ROOT

LOOK_SECONDS = 0.1
# How soon a supervisor of services starts one that died.
RESTART_SECONDS = (0.1, 0.5)


@dataclass(slots=True)
class Service:
    """One program and its present process, which leads a process group of its own."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]

    @property
    def pid(self) -> int | None:
        """Of the process while it lives."""
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def group(self) -> list[int]:
        """Return the processes of the service."""
        return [pid for pid, _, _ in _processes() if group_of(pid) == self.pid]

    def deliver(self, number: signal.Signals, *, group: bool = True) -> bool:
        """Send a signal to the process, and to its group; return whether it was there to get it."""
        pid = self.pid
        if pid is None:
            return False
        try:
            os.killpg(pid, number) if group else os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True


@dataclass(slots=True)
class Keeper:
    """Keeps services running, as an init system would.

    Attributes:
        unasked: how those ended that nobody killed.
    """

    services: Sequence[Service]
    unasked: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        for service in self.services:
            service.start()
        self._thread = threading.Thread(target=self._tend, name="keeper", daemon=True)
        self._thread.start()

    def of_kind(self, kind: str) -> list[Service]:
        """Return the services of a kind that run at this moment."""
        return [service for service in self.services if service.kind == kind and service.pid is not None]

    def stop(self, *, seconds: float = 15) -> None:
        """Ask every service to end; end by force what does not."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        for service in self.services:
            service.deliver(signal.SIGTERM, group=False)
        deadline = time.monotonic() + seconds
        for service in self.services:
            while service.pid is not None and time.monotonic() < deadline:
                time.sleep(0.05)
            service.deliver(signal.SIGKILL)

    def _tend(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            for service in self.services:
                self._tend_one(service)

    def _tend_one(self, service: Service) -> None:
        if service.process is not None and service.process.poll() is not None:
            if service.process.returncode != -signal.SIGKILL:
                self.unasked.append(f"{service.name} ended by itself with {service.process.returncode}")
            service.process = None
            service.start_at = time.monotonic() + random.uniform(*RESTART_SECONDS)
        if service.process is None and time.monotonic() >= service.start_at:
            service.start()


@dataclass(frozen=True, slots=True)
class Trainer:
    """A computation that some worker started: its process, and whose folder it works in."""

    pid: int
    parent: int
    job_id: str
    is_real: bool


def trainers(jobs_dir: Path) -> Iterator[Trainer]:
    """Yield the computations that run in job folders of ``jobs_dir``."""
    for pid, parent, words in _processes():
        folder = next((Path(word) for word in words if word.startswith(f"{jobs_dir}/")), None)
        if folder is not None:
            yield Trainer(pid, parent, folder.parent.name, "tests.chaos.trainer" not in words)


def processes_below(parent: int) -> Iterator[tuple[int, str]]:
    """Yield the direct children of a process, each with its command line."""
    yield from ((pid, " ".join(words)) for pid, above, words in _processes() if above == parent)


def _processes() -> Iterator[tuple[int, int, list[str]]]:
    """Yield every process: its id, its parent's, and the words of its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                parent = int(_fields(int(entry.name))[1])
            except OSError:
                continue
            yield int(entry.name), parent, words


def _fields(pid: int) -> list[str]:
    """Return what the kernel says of a process, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def group_of(pid: int) -> int | None:
    """Return the process group of a process that may be gone."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def state_of(pid: int) -> str | None:
    """Return the letter of a process's state, e.g. T for stopped; None if it is gone."""
    try:
        return _fields(pid)[0]
    except OSError:
        return None


def is_alive(pid: int) -> bool:
    return state_of(pid) not in {None, "Z", "X"}


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would reach into the service."""
    kept: Mapping[str, str] = os.environ
    return {name: value for name, value in kept.items() if not name.startswith("STRATA_")}

"""`strata up` as its users run it: a subprocess, a folder, a port."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from strata import Client

T = TypeVar("T")


def until(check: Callable[[], T | None], *, seconds: float, what: str) -> T:
    deadline = time.monotonic() + seconds
    while not (outcome := check()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)
    return outcome


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RunningService:
    """One `strata up`, from its start to its end."""

    def __init__(self, folder: Path, *, port: int, settings: dict[str, str]) -> None:
        self.client = Client(f"http://127.0.0.1:{port}")
        self._log = (folder / f"strata-{len(list(folder.glob('*.log')))}.log").open("w+b")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("STRATA_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "strata", "up", f"--data-dir={folder / 'data'}", f"--port={port}"],
            env={**environment, **settings},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def await_ready(self, *, seconds: float = 300) -> None:
        until(self._is_ready, seconds=seconds, what="the service")

    def words(self) -> str:
        return Path(self._log.name).read_text(errors="replace")

    def processes(self, module: str = "") -> list[psutil.Process]:
        """Return the living processes below this one that run ``module``."""
        found = []
        for process in psutil.Process(self._process.pid).children(recursive=True):
            try:
                if module in process.cmdline() or not module:
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal to `strata up` and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        self.client.close()
        code = self._process.wait(40)
        self._log.close()
        return code

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self.words()
        return "strata | ready on" in self.words()

"""The engine as a real process on a real socket."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).parents[3]


class EngineProcess:
    """One ``python -m worker.compute.engine`` over a data folder and a database."""

    def __init__(self, data_dir: Path, database_url: str, socket_path: Path) -> None:
        data_dir.mkdir(exist_ok=True)
        self.socket = socket_path
        self.log = data_dir / "engine.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STRATA_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "worker.compute.engine"],
                env={
                    **kept,
                    "STRATA_DATA_DIR": str(data_dir),
                    "STRATA_DATABASE_URL": database_url,
                    "STRATA_ENGINE_ADDRESS": f"unix:{socket_path}",
                    "STRATA_ENGINE_THREADS": "1",
                },
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
            )

    def await_ready(self, *, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        transport = httpx.HTTPTransport(uds=str(self.socket))
        with httpx.Client(transport=transport, base_url="http://engine", timeout=60) as client:
            yield client

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self.socket)) != 0:
                return False
        with self.client() as client:
            return client.get("/healthz").is_success

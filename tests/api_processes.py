"""API processes over one registry and one data folder, as they run in production."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.compose_stack import free_port


@contextmanager
def serving(database_url: str, data_dir: Path, *, processes: int) -> Iterator[list[httpx.Client]]:
    """Yield a client of each process, once all of them answer."""
    data_dir.mkdir(exist_ok=True)
    with ExitStack() as stack:
        clients = [stack.enter_context(_one(database_url, data_dir)) for _ in range(processes)]
        for client in clients:
            _await_answer(client)
        yield clients


@contextmanager
def _one(database_url: str, data_dir: Path) -> Iterator[httpx.Client]:
    port = free_port()
    own = {"STRATA_DATABASE_URL": database_url, "STRATA_DATA_DIR": str(data_dir), "STRATA_API_PORT": str(port)}
    with (data_dir / f"api-{port}.log").open("wb") as log:
        command = [sys.executable, "-m", "api"]
        process = subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)
    try:
        limits = httpx.Limits(max_connections=64)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=limits) as client:
            yield client
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answer(client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if client.get("/healthz").is_success:
                return
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the API does not answer"
        time.sleep(0.05)

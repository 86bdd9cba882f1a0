"""vLLM servers of a test, who changes them, and the door in front of them."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from loopback import served

from core.backends.pool import Pool
from core.serving.fetched import FetchedDeltas
from core.serving.servable import Servable
from core.serving.snapshots import Snapshots
from tests.fake_vllm import FakeVllm, mark_of
from tests.tiny_versions import SetSource, Shelf
from worker.compute.vllm.control import VllmControl
from worker.compute.vllm.door import Door
from worker.compute.vllm.fleet import FleetServer, HeldServer
from worker.compute.vllm.publisher import Publisher
from worker.compute.vllm.ways import SERVED_NAME, InPlace, Restart, Way, link_of

FOLLOWS = "mdl_a:latest"
RESTARTED = Path(__file__).with_name("vllm_restarted.py")


class Ledger(SetSource):
    """A source that remembers events too."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def note(self, version_id: str, *, kind: str, data: dict[str, Any]) -> None:
        """Remember an event."""
        self.events.append((version_id, kind, data))


@dataclass
class Fleet:
    """Servers, who changes them, and the door in front of them."""

    ledger: Ledger
    snapshots: Snapshots
    servers: tuple[FleetServer, ...]
    publisher: Publisher
    client: httpx.Client
    fakes: list[FakeVllm] = field(default_factory=list)

    def follow(self, servable: Servable) -> None:
        """Let the alias name a version, and bring the servers to it."""
        self.ledger.point("latest", servable)
        self.publisher.step()

    def ask(self, prompt: str = "one two", **request: Any) -> dict[str, Any]:
        answer = self.client.post("/v1/completions", json={"model": FOLLOWS, "prompt": prompt, **request})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def holds(self) -> set[str | None]:
        return {server.held.version_id for server in self.servers}

    def says(self, servable: Servable) -> str:
        """What an answer by a version begins with."""
        return mark_of(self.snapshots.path(servable.version_id))


@contextmanager
def fleet(shelf: Shelf, tmp_path: Path, addresses: list[str], way: Way) -> Iterator[Fleet]:
    ledger = Ledger()
    snapshots = Snapshots(tmp_path / "snapshots", FetchedDeltas(shelf.artefacts, tmp_path / "cache"), reserve_bytes=0)
    servers = tuple(
        FleetServer(
            HeldServer(address, reference=FOLLOWS, key=None, answer_seconds=10),
            VllmControl(address, key=None, act_seconds=20),
            way,
            drain_seconds=10,
        )
        for address in addresses
    )
    for server in servers:
        server.recognise()
    publisher = Publisher(ledger, follows=FOLLOWS, snapshots=snapshots, servers=servers, retry_seconds=0)
    pool = Pool([server.member for server in servers], poll_seconds=0.05)
    door = Door(pool, servers, follows=FOLLOWS, poke=publisher.poke, secret=None)
    with (
        served(door.app(start=lambda: None, stop=pool.close)) as url,
        httpx.Client(base_url=url, timeout=30, trust_env=False) as client,
    ):
        yield Fleet(ledger, snapshots, servers, publisher, client)
    pool.close()


@contextmanager
def in_place(shelf: Shelf, tmp_path: Path, *, count: int = 2) -> Iterator[Fleet]:
    """Servers in vLLM's development mode, each started on its own link."""
    links = tmp_path / "snapshots" / "servers"
    with ExitStack() as running:
        fakes = [FakeVllm(SERVED_NAME, dev_mode=True) for _ in range(count)]
        addresses = [running.enter_context(served(fake.app())) for fake in fakes]
        for fake, address in zip(fakes, addresses, strict=True):
            fake.folder = link_of(links, address)
        made = running.enter_context(fleet(shelf, tmp_path, addresses, InPlace(links)))
        made.fakes = fakes
        yield made


@contextmanager
def restarted(shelf: Shelf, tmp_path: Path) -> Iterator[tuple[Fleet, Path, list[int]]]:
    """Two servers as processes, which a command starts again."""
    state = tmp_path / "state"
    state.mkdir()
    ports = [_free_port() for _ in range(2)]
    way = Restart([sys.executable, str(RESTARTED), str(state)], seconds=20)
    try:
        with fleet(shelf, tmp_path, [f"http://127.0.0.1:{port}" for port in ports], way) as made:
            yield made, state, ports
    finally:
        for written in state.glob("*.pid"):
            os.kill(int(written.read_text()), signal.SIGKILL)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])

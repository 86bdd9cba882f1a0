"""`python -m worker.compute.vllm`: puts vLLM servers behind the API, and keeps them at the version of one alias."""

import math
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import Final

import uvicorn

from core.backends.pool import Pool
from core.domain.backends import VllmFleet
from core.domain.errors import InvalidError
from core.registry.work import Registry
from core.serving.fetched import FetchedDeltas
from core.serving.snapshots import Snapshots
from core.settings import Settings
from core.signals import logs
from core.storage import opening
from worker.compute.engine_process import cache_of, listen
from worker.compute.registry_source import RegistrySource
from worker.compute.vllm.control import VllmControl
from worker.compute.vllm.door import Door
from worker.compute.vllm.fleet import FleetServer, HeldServer
from worker.compute.vllm.publisher import Publisher
from worker.compute.vllm.ways import InPlace, Restart, Way

_JOIN_SECONDS: Final = 10.0


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = Settings()
    logs.configure(settings.log_format)
    registry = Registry(settings.database_url)
    try:
        serve(settings, RegistrySource(registry))
    finally:
        registry.close()


def serve(settings: Settings, source: RegistrySource) -> None:
    """Listen at the engine's address of ``settings`` with the servers that they name.

    Raises:
        InvalidError: code ``invalid_settings``: they name none.
    """
    if settings.vllm is None:
        raise InvalidError("the setting vllm names no servers", code="invalid_settings")
    follows = settings.vllm.follows
    servers = fleet(settings, settings.vllm)
    snapshots = Snapshots(
        _snapshots_dir(settings, settings.vllm),
        FetchedDeltas(opening.artefact_store(settings.artefacts_dir, **settings.storage), cache_of(settings)),
        reserve_bytes=settings.min_free_bytes,
    )
    publisher = Publisher(source, follows=follows, snapshots=snapshots, servers=servers)
    pool = Pool([server.member for server in servers], poll_seconds=settings.poll_seconds)
    secret = settings.engine_secret.get_secret_value() if settings.engine_secret else None
    listener = listen(settings.engine_address, secret=secret)
    thread = threading.Thread(
        target=publisher.run, kwargs={"poll_seconds": settings.poll_seconds}, name="publish", daemon=True
    )

    def stop() -> None:
        publisher.stop()
        thread.join(_JOIN_SECONDS)
        pool.close()

    door = Door(pool, servers, follows=follows, poke=publisher.poke, secret=secret)
    # uvicorn raises again the signal that stopped it: it shall end this function, not the process under it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    config = uvicorn.Config(
        door.app(start=thread.start, stop=stop),
        log_config=None,
        log_level="warning",
        lifespan="on",
        timeout_graceful_shutdown=math.ceil(settings.engine_drain_seconds),
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()


def fleet(settings: Settings, named: VllmFleet) -> tuple[FleetServer, ...]:
    """Return the servers that ``named`` names; none is spoken to yet."""
    key = named.key.get_secret_value() if named.key else None
    way = _way(settings, named)
    return tuple(
        FleetServer(
            HeldServer(address, reference=named.follows, key=key, answer_seconds=settings.engine_timeout_seconds),
            VllmControl(address, key=key, act_seconds=named.change_seconds),
            way,
            drain_seconds=named.drain_seconds,
        )
        for address in named.servers
    )


def _way(settings: Settings, named: VllmFleet) -> Way:
    if named.change == "in_place":
        return InPlace(_snapshots_dir(settings, named) / "servers")
    return Restart(shlex.split(named.restart_command), seconds=named.change_seconds)


def _snapshots_dir(settings: Settings, named: VllmFleet) -> Path:
    return named.snapshots_dir or settings.data_dir / "snapshots"


if __name__ == "__main__":
    main()

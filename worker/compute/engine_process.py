"""Assembles the engine from the settings and serves it on its socket."""

import hashlib
import math
import os
import signal
import socket
import stat
import sys
import threading
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog
import torch
import uvicorn
from transformers.utils import logging as transformers_logging

from core.domain.errors import InvalidError
from core.registry.work import Registry
from core.serving.engine import Engine
from core.serving.loading import VersionLoader
from core.serving.servable import VersionSource
from core.settings import Settings
from core.signals import logs
from core.storage import opening
from worker.compute.engine_http import create_app
from worker.compute.registry_source import RegistrySource

log = structlog.get_logger()

_UNIX: Final = "unix:"
# Who waits longer for a version is told that it is still loading.
_LOAD_SECONDS: Final = 30.0


def run() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = Settings()
    logs.configure(settings.log_format)
    threading.excepthook = end_process
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(settings.engine_threads)
    registry = Registry(settings.database_url)
    try:
        serve(settings, RegistrySource(registry))
    finally:
        registry.close()


def serve(settings: Settings, source: VersionSource) -> None:
    """Run the engine on the address of ``settings`` with the versions of ``source``.

    Raises:
        InvalidError: code ``invalid_settings``: the address cannot be listened on, or has no secret where it needs one.
    """
    loader = VersionLoader(
        artefacts=opening.artefact_store(settings.artefacts_dir, **settings.storage),
        cache=cache_of(settings),
        device=device_of(settings.engine_device or settings.device),
        answer_bytes=settings.engine_answer_bytes,
    )
    engine = Engine(source=source, loader=loader, memory_bytes=settings.engine_memory_bytes)
    secret = settings.engine_secret.get_secret_value() if settings.engine_secret else None
    app = create_app(
        engine,
        secret=secret,
        poll_seconds=settings.poll_seconds,
        load_timeout_seconds=min(_LOAD_SECONDS, settings.engine_timeout_seconds / 2),
    )
    # uvicorn raises again the signal that stopped it: it shall end this function, not the process under it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    listener = listen(settings.engine_address, secret=secret)
    log.info("engine.listening", address=settings.engine_address)
    drain = math.ceil(settings.engine_drain_seconds)
    config = uvicorn.Config(app, log_config=None, log_level="warning", lifespan="on", timeout_graceful_shutdown=drain)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()
        if settings.engine_address.startswith(_UNIX):
            Path(settings.engine_address.removeprefix(_UNIX)).unlink(missing_ok=True)


def listen(address: str, *, secret: str | None) -> socket.socket:
    """Return a listening socket for ``unix:<path>`` or ``http://host:port``.

    A Unix socket is this user's only. Whoever can reach a TCP port is somebody else: it needs a secret.

    Raises:
        InvalidError: code ``invalid_settings``.
    """
    if address.startswith(_UNIX):
        return _listen_unix(Path(address.removeprefix(_UNIX)))
    parts = urlsplit(address)
    if parts.scheme != "http" or parts.hostname is None or parts.port is None:
        raise InvalidError("engine_address must be unix:<path> or http://host:port", code="invalid_settings")
    if secret is None:
        raise InvalidError("an engine on TCP needs engine_secret", code="invalid_settings")
    family = socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((parts.hostname, parts.port))
    listener.listen()
    return listener


def end_process(death: threading.ExceptHookArgs) -> None:
    """End the process with its thread: an engine that lacks one would hang, one that is gone is started again."""
    name = death.thread.name if death.thread else None
    log.error("engine.thread_died", thread=name, exc_info=death.exc_value)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def cache_of(settings: Settings) -> Path:
    """Return the folder of fetched artefacts: one an address, for an address is one process's."""
    return settings.run_dir / "engine" / hashlib.sha256(settings.engine_address.encode()).hexdigest()[:16]


def device_of(name: str) -> torch.device:
    """Return the device of a setting; ``auto`` takes CUDA where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def _leave(_number: int, _frame: object) -> None:
    sys.exit(0)


def _listen_unix(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        previous = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(previous)
        listener.listen()
    except OSError as error:
        listener.close()
        raise InvalidError(f"the engine cannot listen on its socket: {error}", code="invalid_settings") from error
    return listener


def _remove_stale(path: Path) -> None:
    """Remove the socket of an engine that is gone.

    Raises:
        OSError: an engine answers there, or the path is something else.
    """
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise OSError("the path is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError("another engine is listening there")

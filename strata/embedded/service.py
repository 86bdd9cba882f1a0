"""The embedded service: which processes it is, in which folder, at which address."""

import fcntl
import hashlib
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from core.settings import Settings
from strata.embedded.children import Program

# sun_path of a Unix socket holds 108 bytes on Linux and 104 on BSD, with the closing NUL.
SOCKET_PATH_BYTES: Final = 100
LOCK: Final = "up.lock"


class CannotStartError(Exception):
    """The service cannot start here; the message says what to do."""


def programs() -> tuple[Program, ...]:
    """Return what runs: the API, the worker and the engine."""
    return (
        Program("api", "api"),
        Program("worker", "worker.control"),
        Program("engine", "worker.compute.engine"),
    )


def environment(settings: Settings, surroundings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the children: the surroundings, and what this service must agree on."""
    return {
        **surroundings,
        "PYTHONUNBUFFERED": "1",
        # Their words are read by people here, each behind the name of its process.
        "STRATA_LOG_FORMAT": surroundings.get("STRATA_LOG_FORMAT", "text"),
        "STRATA_LOG_REQUESTS": surroundings.get("STRATA_LOG_REQUESTS", "false"),
        "STRATA_DATA_DIR": str(settings.data_dir),
        "STRATA_DATABASE_URL": settings.database_url,
        "STRATA_BASE_MODELS_DIR": str(settings.base_models_dir),
        "STRATA_DISPATCHER": "local",
        "STRATA_API_HOST": settings.api_host,
        "STRATA_API_PORT": str(settings.api_port),
        "STRATA_ENGINE_ADDRESS": _engine_address(settings),
    }


@contextmanager
def folder_held(settings: Settings) -> Iterator[None]:
    """Hold the data folder for one service.

    Raises:
        CannotStartError: another one holds it, or it cannot be written.
    """
    try:
        settings.run_dir.mkdir(parents=True, exist_ok=True)
        handle = os.open(settings.run_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotStartError(f"{settings.data_dir} cannot be used: {error.strerror}; give --data-dir") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CannotStartError(
            f"a service already runs in {settings.data_dir}; stop it first, or give another --data-dir"
        ) from error
    else:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)


def holder_of(data_dir: Path) -> int | None:
    """Return the process id of the `strata up` that holds a data folder; None when none does."""
    try:
        handle = os.open(data_dir / "run" / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.read(handle, 32))
    else:
        return None
    finally:
        os.close(handle)


def require_free_port(settings: Settings) -> None:
    """Check that the address can be listened on.

    Raises:
        CannotStartError: something else listens there.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.api_host, settings.api_port))
        except OSError as error:
            raise CannotStartError(
                f"port {settings.api_port} is in use; stop what listens there, or give another --port"
            ) from error


def engine_listens(settings: Settings) -> bool:
    """Whether something answers at the engine's socket; of an engine on TCP only the API can tell."""
    scheme, _, path = _engine_address(settings).partition(":")
    if scheme != "unix":
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(path) == 0


def _engine_address(settings: Settings) -> str:
    """Return the engine's address; a socket path too long for the kernel moves to a private temporary folder."""
    scheme, _, path = settings.engine_address.partition(":")
    if scheme != "unix" or len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return settings.engine_address
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"strata-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise CannotStartError(f"{folder} belongs to somebody else; give a shorter --data-dir")
    return f"unix:{folder / 'engine.sock'}"

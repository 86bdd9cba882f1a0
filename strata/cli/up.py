"""`strata up`: the whole service on this machine, until Ctrl-C."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from core.settings import Settings
from strata.cli.session import session_of
from strata.client import AuthenticationError, Client, ServiceUnavailableError, ServiceUnreachableError
from strata.client.results import BaseModelInfo
from strata.embedded import first_base_model, service
from strata.embedded.children import Family, GaveUpError

COLOURS: Final = {"api": "cyan", "worker": "green", "engine": "magenta", "strata": "bold"}
LOOK_SECONDS: Final = 0.2
READY_WITHIN_SECONDS: Final = 120.0
BASE_WITHIN_SECONDS: Final = 900.0
# Beyond what a worker needs to stop its trainer.
GRACE_SECONDS: Final = 10.0

T = TypeVar("T")


class StoppedError(Exception):
    """Somebody asked the service to stop."""


def up(
    context: typer.Context,
    *,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of everything that is kept.", show_default="var/strata")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Of the API.", show_default="8321")] = None,
    wait_base: Annotated[
        bool, typer.Option("--wait-base/--no-wait-base", help="Say ready only once the base model has been read.")
    ] = True,
) -> None:
    """Start the API, a worker and an engine on this machine; Ctrl-C stops all of them."""
    console = Console(highlight=False)
    try:
        settings = _settings(data_dir, port)
        with service.folder_held(settings), _stop_asked() as stop:
            Embedded(settings, console, stop, api_key=session_of(context).api_key).run(wait_base=wait_base)
    except (service.CannotStartError, GaveUpError) as error:
        Console(stderr=True, highlight=False).print(f"[bold red]error[/]: {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error


class Embedded:
    """One run of the embedded service."""

    def __init__(
        self, settings: Settings, console: Console, stop: threading.Event, *, api_key: str | None = None
    ) -> None:
        self._settings = settings
        self._console = console
        self._stop = stop
        self._family = Family(service.programs(), service.environment(settings, os.environ), self._say)
        self._client = Client(f"http://{settings.api_host}:{settings.api_port}", api_key)

    def run(self, *, wait_base: bool) -> None:
        """Run until asked to stop.

        Raises:
            CannotStartError: the port is taken, or a part does not become ready.
            GaveUpError: a part keeps dying.
        """
        from migrations.commands import upgrade

        service.require_free_port(self._settings)
        upgrade(self._settings.database_url)
        try:
            self._family.start()
            self._become_ready(wait_base=wait_base)
            while True:
                self._look()
        except StoppedError:
            self._say("strata", "stopping")
        finally:
            self._client.close()
            self._family.stop(grace_seconds=self._settings.stop_grace_seconds + GRACE_SECONDS)
        self._say("strata", "stopped")

    def _become_ready(self, *, wait_base: bool) -> None:
        self._until(self._answers, within=READY_WITHIN_SECONDS, what="the service")
        try:
            base = first_base_model.offer(self._client)
        except AuthenticationError:
            self._say("strata", "keys are asked for here: STRATA_API_KEY or --api-key, with the scope admin, opens all")
            self._announce(None)
            return
        if base is None:
            self._say("strata", "no base model yet: add one with `strata base-models add NAME SOURCE`")
        elif wait_base and base.state == "pending":
            base = self._read(base)
        self._announce(base)

    def _answers(self) -> bool:
        # Asking the API about an engine that is not there yet would fill its log with warnings.
        if not service.engine_listens(self._settings):
            return False
        try:
            return self._client.ready().parts.get("engine", "ok") == "ok"
        except (ServiceUnreachableError, ServiceUnavailableError):
            return False

    def _read(self, base: BaseModelInfo) -> BaseModelInfo:
        """Wait until the base model has been read; if it never is, the rest of the service is of use all the same."""
        self._say("strata", f"reading {base.name} … (about half a minute, once)")
        deadline = time.monotonic() + BASE_WITHIN_SECONDS
        while base.state == "pending" and time.monotonic() < deadline:
            self._look()
            with suppress(ServiceUnreachableError, ServiceUnavailableError):
                base = self._client.base_models.get(base.name)
        return base

    def _until(self, check: Callable[[], T | None], *, within: float, what: str) -> T:
        deadline = time.monotonic() + within
        while not (outcome := check()):
            self._look()
            if time.monotonic() > deadline:
                raise service.CannotStartError(f"{what} was not ready after {within:.0f} s; the lines above say why")
        return outcome

    def _look(self) -> None:
        if self._stop.wait(LOOK_SECONDS):
            raise StoppedError
        self._family.tend()

    def _announce(self, base: BaseModelInfo | None) -> None:
        self._say("strata", f"ready on {self._client.base_url} (Ctrl-C stops it)")
        if base is not None and base.state == "failed":
            again = f"`strata base-models add {base.name} {base.source}` tries again"
            self._say("strata", f"{base.name} could not be read: {base.error}; {again}")
        elif base is not None:
            body = f'{{"name": "support", "base_model": "{base.name}"}}'
            call = f"curl -s {self._client.base_url}/v1/models -H 'Content-Type: application/json' -d '{body}'"
            state = "" if base.state == "ready" else f" ({base.name} is still being read)"
            self._say("strata", f"try{state}: {call}")

    def _say(self, speaker: str, line: str) -> None:
        self._console.print(f"[{COLOURS[speaker]}]{speaker:<6} |[/] {escape(line)}", soft_wrap=True)


def _settings(data_dir: Path | None, port: int | None) -> Settings:
    given: dict[str, Any] = {"data_dir": data_dir, "api_port": port, "api_host": "127.0.0.1"}
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        faults = "; ".join(f"{_variable(fault['loc'])}{fault['msg']}" for fault in error.errors())
        raise service.CannotStartError(f"settings cannot be read: {faults}") from error


def _variable(loc: tuple[str | int, ...]) -> str:
    """Return the variable that a fault lies in; a fault between several of them names them itself."""
    return f"STRATA_{'_'.join(map(str, loc)).upper()}: " if loc else ""


@contextmanager
def _stop_asked() -> Iterator[threading.Event]:
    """Turn SIGINT, SIGTERM and SIGHUP into an event for as long as the service runs."""
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

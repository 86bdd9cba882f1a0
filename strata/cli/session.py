"""What all commands share: the connection, the two output channels, and how errors end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from strata.client import Client, StrataAPIError

PLACES_SHOWN: Final = 5
EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]


def _connect(url: str, api_key: str | None) -> Client:
    return Client(url, api_key)


@dataclass(kw_only=True)
class Session:
    """One run of the command. ``notes`` is stderr: progress and errors, so that stdout stays for results."""

    url: str
    api_key: str | None = None
    connect: Callable[[str, str | None], Client] = _connect
    notes: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    results: Console = field(default_factory=lambda: Console(highlight=False))
    _client: Client | None = None

    @property
    def client(self) -> Client:
        """The connection, made on first use."""
        if self._client is None:
            self._client = self.connect(self.url, self.api_key)
        return self._client

    def close(self) -> None:
        """Close the connection, if one was made."""
        if self._client is not None:
            self._client.close()

    def report(self, error: StrataAPIError) -> None:
        """Say what went wrong and what to do next, on stderr."""
        self.notes.print(f"[bold red]error[/] \\[{escape(error.code)}]: {escape(error.detail)}", soft_wrap=True)
        for place in error.places[:PLACES_SHOWN]:
            self.notes.print(f"  {escape(str(place))}", soft_wrap=True)
        if len(error.places) > PLACES_SHOWN:
            self.notes.print(f"  … and {len(error.places) - PLACES_SHOWN} more")
        if error.next_step:
            self.notes.print(f"[bold]next[/]: {escape(error.next_step)}", soft_wrap=True)


class CommandGroup(TyperGroup):
    """The root command: ends every error of the service as a message and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except StrataAPIError as error:
            session_of(ctx).report(error)
            raise typer.Exit(EXIT_FAILED) from error
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from interrupt
        finally:
            if ctx.obj is not None:
                session_of(ctx).close()


def session_of(context: Any) -> Session:
    """Return the session of a command's context."""
    session: Session = context.obj
    return session

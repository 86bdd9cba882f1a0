"""`strata keys`: who may come in. The first key is made on the service's machine, by `python -m api.keys create`."""

from typing import Annotated, Final

import typer

from core.domain.access import Scope
from strata.cli.output import print_json, print_rows, table
from strata.cli.session import AsJson, session_of

DAY_SECONDS: Final = 24 * 3600
app: Final = typer.Typer(help="Keys of the project; for keys with the scope admin.", no_args_is_help=True)


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="By which people know the key.")],
    *,
    scope: Annotated[list[Scope], typer.Option(help="What it opens; may be given several times.")],
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=3660, help="Otherwise never.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it: it is shown only now."""
    session = session_of(context)
    seconds = None if expires_in_days is None else expires_in_days * DAY_SECONDS
    made = session.client.keys.create(name, scopes=[each.value for each in scope], expires_in_seconds=seconds)
    if as_json:
        print_json(made.to_json())
        return
    session.notes.print(f"{made.id} opens {', '.join(made.scopes)}; keep it, nobody can show it again:")
    typer.echo(made.key)


@app.command("list")
def list_all(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the keys but for the revoked ones."""
    session = session_of(context)
    rows = list(session.client.keys.list())
    if as_json:
        print_rows(rows)
        return
    table(
        session.results,
        ("id", "name", "begins", "scopes", "expires", "last used"),
        [(row.id, row.name, row.hint, ", ".join(row.scopes), row.expires_at, row.last_used_at) for row in rows],
    )


@app.command("revoke")
def revoke(context: typer.Context, key_id: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """End a key: the next call with it is refused."""
    session = session_of(context)
    session.client.keys.revoke(key_id)
    session.notes.print(f"{key_id} opens nothing any more")

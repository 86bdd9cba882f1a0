"""`strata aliases`: movable names for versions."""

from typing import Annotated, Final

import typer

from strata.cli.output import facts, print_json, print_rows, table
from strata.cli.session import AsJson, Session, session_of
from strata.client.results import Alias

app: Final = typer.Typer(help="Aliases: movable names for versions.", no_args_is_help=True)
Model = Annotated[str, typer.Argument(help="The model's name or id.")]
Name = Annotated[str, typer.Argument(help="The alias, e.g. stable.")]


@app.command("list")
def list_all(context: typer.Context, model: Model, *, as_json: AsJson = False) -> None:
    """List a model's aliases and what they name."""
    session = session_of(context)
    rows = session.client.aliases.list(model)
    if as_json:
        print_rows(rows)
        return
    table(session.results, ("alias", "version", "moved"), [(row.name, row.version, row.moved_at) for row in rows])


@app.command("history")
def history(context: typer.Context, model: Model, alias: Name, *, as_json: AsJson = False) -> None:
    """List an alias's moves, oldest first: who, when, why, and what the gate said of the version."""
    session = session_of(context)
    rows = session.client.aliases.history(model, alias)
    if as_json:
        print_rows(rows)
        return
    columns = ("move", "from", "to", "who", "why", "gate", "when")
    table(
        session.results,
        columns,
        [(row.n, row.from_version_id, row.to_version_id, row.actor, row.reason, row.gate, row.at) for row in rows],
    )


@app.command("delete")
def delete(context: typer.Context, model: Model, alias: Name) -> None:
    """Remove an alias; latest stays."""
    session = session_of(context)
    session.client.aliases.delete(model, alias)
    session.notes.print(f"the alias {alias} of {model} is gone")


def conclude(session: Session, alias: Alias, *, as_json: bool) -> None:
    """Print what an alias names now."""
    if as_json:
        print_json(alias.to_json())
        return
    facts(session.results, [("alias", alias.name), ("version", alias.version), ("id", alias.version_id)])

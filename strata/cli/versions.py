"""`strata versions`: what a model has become."""

from typing import Annotated, Final

import typer

from strata.cli.output import print_json, print_rows, table
from strata.cli.session import AsJson, session_of

app: Final = typer.Typer(help="Versions of a model.", no_args_is_help=True)


@app.command("list")
def list_all(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The model's name or id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """List a model's versions."""
    session = session_of(context)
    rows = list(session.client.versions.list(model))
    if as_json:
        print_rows(rows)
        return
    table(
        session.results,
        ("version", "state", "aliases", "density", "created"),
        [
            (row.name or row.number, row.state, " ".join(row.aliases), (row.delta or {}).get("density"), row.created_at)
            for row in rows
        ],
    )


@app.command("show")
def show(
    context: typer.Context, version: Annotated[str, typer.Argument(help="name@3, name:alias or a version's id.")]
) -> None:
    """Show one version as JSON."""
    print_json(session_of(context).client.versions.get(version).to_json())

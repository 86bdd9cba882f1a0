"""`strata versions`: what a model has become."""

from typing import Annotated, Final

import typer

from strata.cli.output import facts, print_json, print_rows, table
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
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="name@3, name:alias or a version's id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show one version."""
    session = session_of(context)
    found = session.client.versions.get(version)
    if as_json:
        print_json(found.to_json())
        return
    delta = found.delta or {}
    facts(
        session.results,
        [
            ("version", found.name or found.number),
            ("id", found.id),
            ("state", found.state),
            ("aliases", " ".join(found.aliases) or None),
            ("parent", found.parent_id),
            ("task", found.task_id),
            ("job", found.job_id),
            ("density", delta.get("density")),
            ("delta bytes", delta.get("size_bytes")),
            ("digest", found.digest),
            ("created", found.created_at),
        ],
    )

"""`strata events`: who changed what in the project."""

from typing import Annotated

import typer

from strata.cli.output import print_rows, table
from strata.cli.session import AsJson, session_of


def events(
    context: typer.Context,
    *,
    subject: Annotated[
        str | None, typer.Option(help="Only changes of the thing of this id.", show_default=False)
    ] = None,
    actor: Annotated[
        str | None, typer.Option(help="Only changes by this key's id, or e.g. by sweep.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the changes in the project, newest first; for keys with the scope admin."""
    session = session_of(context)
    rows = list(session.client.events.list(subject=subject, actor=actor, limit=limit))
    if as_json:
        print_rows(rows)
        return
    table(
        session.results,
        ("at", "by", "what", "of", "from", "to"),
        [(row.at, row.actor, row.kind, row.subject_id, row.before, row.to) for row in rows],
    )

"""`strata methods`: how a task can be learned."""

import typer

from strata.cli.output import print_rows, table
from strata.cli.session import AsJson, session_of


def methods(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the learning methods."""
    session = session_of(context)
    rows = session.client.methods.list()
    if as_json:
        print_rows(rows)
        return
    table(session.results, ("method", "what it does"), [(row.name, row.description) for row in rows])

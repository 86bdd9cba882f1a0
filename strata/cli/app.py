"""The `strata` command: every noun and verb that can be typed."""

import sys
from typing import Annotated, Final

import typer

from strata.cli import aliases, base_models, events, generate, jobs, keys, methods, models, reports, tasks, up, versions
from strata.cli.session import CommandGroup, Session
from strata.client.client import DEFAULT_URL

app: Final = typer.Typer(
    name="strata",
    help="Continual fine-tuning as a service: post a task, watch the job, query a model that keeps learning.",
    cls=CommandGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(base_models.app, name="base-models")
app.add_typer(models.app, name="models")
models.app.command("report")(reports.report)
app.add_typer(tasks.app, name="tasks")
app.add_typer(jobs.app, name="jobs")
app.add_typer(versions.app, name="versions")
app.add_typer(aliases.app, name="aliases")
app.add_typer(keys.app, name="keys")
app.command("up")(up.up)
app.command("events")(events.events)
app.command("generate")(generate.generate)
app.command("methods")(methods.methods)


@app.callback()
def connection(
    context: typer.Context,
    *,
    url: Annotated[str, typer.Option(envvar="STRATA_URL", help="The service's address.")] = DEFAULT_URL,
    api_key: Annotated[
        str | None, typer.Option(envvar="STRATA_API_KEY", help="Key, where the service wants one.", show_default=False)
    ] = None,
) -> None:
    """Continual fine-tuning as a service: post a task, watch the job, query a model that keeps learning."""
    if context.obj is None:
        context.obj = Session(url=url, api_key=api_key)


def main() -> None:
    """Run the command with the arguments of this process."""
    sys.exit(app())

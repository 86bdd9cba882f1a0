"""`strata models rebuild`: a version without some of its tasks, and what that changed."""

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from strata.cli.output import plain, table
from strata.cli.session import AsJson, session_of
from strata.cli.watching import conclude, follow
from strata.client.account_results import Comparison, Rebuild


def rebuild(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The model's name or id.")],
    *,
    leave_out: Annotated[list[str], typer.Option("--leave-out", metavar="TASK", help="A task's name or id; repeat.")],
    version: Annotated[
        str | None, typer.Option(help="A number or name@3 to leave it out of; without it, what latest names.")
    ] = None,
    aside: Annotated[bool, typer.Option("--aside", help="Leave latest where it is.")] = False,
    timeout: Annotated[int | None, typer.Option(min=1, help="Seconds after which the job fails.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Wait for the end, with live progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Leave tasks out: build a version of the other tasks' deltas, and say what was lost."""
    session = session_of(context)
    job = session.client.versions.rebuild(
        model, leave_out=leave_out, version=version, promote=not aside, timeout_seconds=timeout
    )
    if watch:
        job = follow(session.client, job.id, session.notes)
    conclude(session, job, as_json=as_json)
    if job.rebuild and job.is_over and not as_json:
        show(session.results, job.rebuild)


def show(console: Console, found: Rebuild) -> None:
    """Print each task's score before and after, and where traces of what was left out may remain."""
    rows = [(_named(line), line.metric, line.before, line.after, _difference(line)) for line in found.comparison]
    table(console, ("task", "metric", "before", "after", "difference"), rows)
    if found.learned_on_top:
        names = ", ".join(found.learned_on_top)
        console.print(escape(plain(f"learned on top of what was left out, and as it was: {names}")), soft_wrap=True)
    if found.traces_in:
        console.print(f"still in the method's memory: {escape(', '.join(found.traces_in))}", soft_wrap=True)


def _named(line: Comparison) -> str:
    return f"{line.task} (left out)" if line.left_out else line.task


def _difference(line: Comparison) -> str | None:
    if line.difference is None:
        return None
    bounds = "" if line.low is None or line.high is None else f" [{line.low:+.3f}, {line.high:+.3f}]"
    return f"{line.difference:+.3f}{bounds}"

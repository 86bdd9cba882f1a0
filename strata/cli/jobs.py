"""`strata jobs`: what is being learned."""

from typing import Annotated, Final

import typer

from strata.cli.gate import print_gate
from strata.cli.output import duration, facts, print_json, print_rows, table
from strata.cli.session import AsJson, session_of
from strata.cli.watching import conclude, follow, standing

app: Final = typer.Typer(help="Jobs: what is being learned.", no_args_is_help=True)
JobId = Annotated[str, typer.Argument(help="The job's id.")]


@app.command("list")
def list_all(
    context: typer.Context,
    *,
    model: Annotated[str | None, typer.Option(help="Only those of one model.")] = None,
    state: Annotated[str | None, typer.Option(help="Only those in one state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    session = session_of(context)
    rows = list(session.client.jobs.list(model=model, state=state, limit=limit))
    if as_json:
        print_rows(rows)
        return
    table(
        session.results,
        ("job", "kind", "state", "phase", "percent", "created"),
        [(row.id, row.kind, row.state, row.phase, row.progress.percent, row.created_at) for row in rows],
    )


@app.command("show")
def show(context: typer.Context, job: JobId, *, as_json: AsJson = False) -> None:
    """Show one job."""
    session = session_of(context)
    found = session.client.jobs.get(job)
    if as_json:
        print_json(found.to_json())
        return
    step = f"{found.progress.step} of {found.progress.total_steps}" if found.progress.total_steps else None
    facts(
        session.results,
        [
            ("job", found.id),
            ("kind", found.kind),
            ("stands at", standing(found)),
            ("step", step),
            ("time left", None if found.is_over else duration(found.progress.eta_seconds)),
            ("queue position", found.queue_position),
            ("version", found.result_version or found.result_version_id),
            ("error", found.error and f"{found.error.code}: {found.error.detail}"),
            ("created", found.created_at),
            ("finished", found.finished_at),
        ],
    )
    print_gate(session.results, found.gate)


@app.command("watch")
def watch(context: typer.Context, job: JobId, *, as_json: AsJson = False) -> None:
    """Follow a job to its end; exit code 1 when it does not succeed."""
    session = session_of(context)
    conclude(session, follow(session.client, job, session.notes), as_json=as_json)


@app.command("cancel")
def cancel(context: typer.Context, job: JobId, *, as_json: AsJson = False) -> None:
    """Cancel a job; a running one stops a moment later."""
    session = session_of(context)
    conclude(session, session.client.jobs.cancel(job), as_json=as_json)


@app.command("pause")
def pause(context: typer.Context, job: JobId, *, as_json: AsJson = False) -> None:
    """Pause a job; a running one stops at its next step, with a checkpoint. Its model waits for it."""
    session = session_of(context)
    conclude(session, session.client.jobs.pause(job), as_json=as_json)


@app.command("resume")
def resume(context: typer.Context, job: JobId, *, as_json: AsJson = False) -> None:
    """Let a paused job go on from where it stopped."""
    session = session_of(context)
    conclude(session, session.client.jobs.resume(job), as_json=as_json)


@app.command("retry")
def retry(context: typer.Context, job: JobId, *, as_json: AsJson = False) -> None:
    """Queue a failed or cancelled job again, as a new one."""
    session = session_of(context)
    conclude(session, session.client.jobs.retry(job), as_json=as_json)


@app.command("logs")
def logs(context: typer.Context, job: JobId, *, as_json: AsJson = False) -> None:
    """Print the tail of a job's log."""
    tail = session_of(context).client.jobs.logs(job)
    if as_json:
        print_json(tail)
        return
    typer.echo(tail.get("text", ""), nl=False)

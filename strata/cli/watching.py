"""A job on the screen: a live bar for a terminal, a line now and then for a file."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from strata.cli.output import duration, facts, print_json
from strata.cli.session import Session
from strata.client import Client, ServiceUnavailableError, ServiceUnreachableError
from strata.client.jobs import STANDARD, Patience
from strata.client.results import Job, Metrics

PERCENT_A_LINE: Final = 10


class Display(AbstractContextManager["Display"], Protocol):
    """Something that shows a job as it goes."""

    def show(self, job: Job, curves: Metrics) -> None:
        """Show where the job stands."""


class LiveBar(Display):
    """One line that is redrawn: phase, bar, step, loss, sparsity, time left."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("[cyan]{task.description:<10}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[curves]}"),
            TextColumn("[dim]{task.fields[left]}"),
            console=console,
        )
        self._bar = self._progress.add_task("queued", total=None, curves="", left="")

    def show(self, job: Job, curves: Metrics) -> None:
        """Redraw the line."""
        self._progress.update(
            self._bar,
            description=standing(job),
            completed=job.progress.step,
            total=job.progress.total_steps,
            curves=figures(curves),
            left=time_left(job),
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class Lines(Display):
    """A line for each new phase and each tenth of the way."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: tuple[str, int] | None = None

    def show(self, job: Job, curves: Metrics) -> None:
        """Print a line if there is something new."""
        mark = (standing(job), int(job.progress.percent or 0) // PERCENT_A_LINE)
        if mark != self._shown:
            self._shown = mark
            step = f"step {job.progress.step}/{job.progress.total_steps}" if job.progress.total_steps else ""
            parts = (standing(job), step, figures(curves), time_left(job))
            self._console.print("  ".join(part for part in parts if part), soft_wrap=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open."""


def follow(client: Client, job_id: str, console: Console, *, patience: Patience = STANDARD) -> Job:
    """Show a job on ``console`` until it has succeeded.

    Raises:
        JobFailedError: it ended otherwise.
    """
    display: Display = LiveBar(console) if console.is_terminal else Lines(console)
    with display:
        return client.jobs.wait(job_id, on_look=lambda job: display.show(job, _curves(client, job)), patience=patience)


def conclude(session: Session, job: Job, *, as_json: bool) -> None:
    """Print what a job is now, and what to do next."""
    if as_json:
        print_json(job.to_json())
        return
    facts(
        session.results,
        [
            ("job", job.id),
            ("state", job.state),
            ("queue position", job.queue_position),
            ("version", job.result_version or job.result_version_id),
            ("error", job.error and f"{job.error.code}: {job.error.detail}"),
        ],
    )
    if job.try_it:
        session.notes.print(f"try: {escape(job.try_it)}", soft_wrap=True)
    elif job.state == "paused":
        session.notes.print(f"next: `strata jobs resume {job.id}`")
    elif not job.is_over:
        session.notes.print(f"next: `strata jobs watch {job.id}`")


def standing(job: Job) -> str:
    """Return where the job stands in one word: its phase while it runs, else its state."""
    return job.phase or job.state if job.state == "running" else job.state


def figures(curves: Metrics) -> str:
    """Return the latest loss and sparsity."""
    loss, sparsity = curves.latest("loss"), curves.latest("sparsity")
    parts = (
        None if loss is None else f"loss {loss:.3f}",
        None if sparsity is None else f"sparsity {sparsity:.1%}",
    )
    return "  ".join(part for part in parts if part)


def time_left(job: Job) -> str:
    """Return the estimate of the time left."""
    left = duration(job.progress.eta_seconds)
    return "" if left is None or job.is_over else f"{left} left"


def _curves(client: Client, job: Job) -> Metrics:
    """Return the job's curves; a service that is away for a moment has none to show."""
    if job.state != "running":
        return Metrics()
    try:
        return client.jobs.metrics(job.id, max_points=2)
    except (ServiceUnavailableError, ServiceUnreachableError):
        return Metrics()

"""`strata versions`: what a model has become."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from strata.cli.aliases import conclude
from strata.cli.gate import print_gate
from strata.cli.output import facts, print_json, print_rows, table
from strata.cli.session import AsJson, session_of
from strata.client.score_results import VersionScore

app: Final = typer.Typer(help="Versions of a model.", no_args_is_help=True)
Reason = Annotated[str, typer.Option(help="Why; kept in the alias's history.")]


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
    print_gate(session.results, found.gate)


@app.command("scores")
def scores(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="name@3, name:alias or a version's id.")],
    *,
    against: Annotated[str | None, typer.Option(help="Another version of the model, to compare with.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show how well one version does, and how that differs from another, row by row."""
    session = session_of(context)
    found = session.client.evaluations.of_version(version, against=against)
    if as_json:
        print_json(found.to_json())
        return
    columns = ("task", "metric", "score", "95 %", "rows", "chance")
    more = ("against", "difference", "95 %", "p") if against else ()
    table(session.results, (*columns, *more), [_score_row(each, compared=bool(against)) for each in found.scores])


def _score_row(score: VersionScore, *, compared: bool) -> Sequence[object]:
    own = (
        score.task or "general text",
        score.metric,
        score.value,
        _bounds(score.low, score.high),
        score.n_rows,
        score.chance,
    )
    other = score.against
    if not compared:
        return own
    if other is None:
        return (*own, None, None, None, None)
    return (*own, other.value, other.difference, _bounds(other.low, other.high), other.p_value)


def _bounds(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{low:.3f} to {high:.3f}"


@app.command("promote")
def promote(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="name@3, or a version's id.")],
    *,
    alias: Annotated[str, typer.Option(help="The alias that shall name it.")] = "stable",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Let an alias name a version: `strata versions promote helper@3 --alias stable`."""
    session = session_of(context)
    found = session.client.versions.get(version)
    moved = session.client.aliases.promote(str(found.model_id), alias, found.id, reason=reason)
    conclude(session, moved, as_json=as_json)


@app.command("rollback")
def rollback(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The model's name or id.")],
    *,
    to: Annotated[str | None, typer.Option(help="A number or name@2; without it, the version before.")] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Let a model's latest name an earlier version; the next task starts from there."""
    session = session_of(context)
    conclude(session, session.client.aliases.rollback(model, to, reason=reason), as_json=as_json)


@app.command("delete")
def delete(context: typer.Context, version: Annotated[str, typer.Argument(help="name@3, or a version's id.")]) -> None:
    """Delete a version that no alias, version or open job needs."""
    session = session_of(context)
    session.client.versions.delete(version)
    session.notes.print(f"{version} is deleted")

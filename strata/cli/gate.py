"""The gate on the screen: what it found of a version, and `strata models gate`, which changes what it asks."""

from typing import Annotated, Any

import typer
from rich.console import Console

from strata.cli.output import facts, print_json, table
from strata.cli.session import AsJson, session_of
from strata.client.account_results import GateReport


def print_gate(console: Console, report: GateReport | None) -> None:
    """Print what each rule says, and how the earlier tasks do; nothing of what was not judged."""
    if report is None:
        return
    rows = [(finding.rule, finding.verdict, finding.says) for finding in report.rules]
    table(console, ("gate", "verdict", "why"), rows)
    if report.drops:
        fallen = [(each.task, each.before, each.after, each.drop, each.n_rows) for each in report.drops]
        table(console, ("earlier task", "before", "after", "drop", "rows"), fallen)


def change(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The model's name or id.")],
    *,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Whether versions are judged at all.")] = None,
    floor: Annotated[float | None, typer.Option(help="The least score of a new task.")] = None,
    no_floor: Annotated[bool, typer.Option("--no-floor", help="Ask for no least score.")] = False,
    above_chance: Annotated[
        bool | None, typer.Option("--above-chance/--at-chance", help="Whether a new task must be above chance.")
    ] = None,
    max_single_drop: Annotated[float | None, typer.Option(help="How much one earlier task may lose.")] = None,
    max_mean_drop: Annotated[float | None, typer.Option(help="How much they may lose on average.")] = None,
    min_rows: Annotated[
        int | None, typer.Option(help="Held-out rows below which chance and drops are not judged.")
    ] = None,
    confidence: Annotated[float | None, typer.Option(help="How sure a figure must be.")] = None,
    max_norm_ratio: Annotated[float | None, typer.Option(help="How large a layer's change may be, relatively.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a new version of a model must show, or change it: what is not given stays as it is."""
    asked: dict[str, Any] = {
        "enabled": on,
        "floor": floor,
        "above_chance": above_chance,
        "max_single_drop": max_single_drop,
        "max_mean_drop": max_mean_drop,
        "min_rows": min_rows,
        "confidence": confidence,
        "max_norm_ratio": max_norm_ratio,
    }
    given = {name: value for name, value in asked.items() if value is not None} | ({"floor": None} if no_floor else {})
    session = session_of(context)
    models = session.client.models
    found = models.change_gate(model, **given) if given else models.get(model)
    policy = found.policy.get("gate", {})
    if as_json:
        print_json(policy)
        return
    facts(session.results, [(name, _told(value)) for name, value in policy.items()])


def _told(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

"""`strata models`: the models that keep learning."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.console import Console

from strata.cli import exporting, gate, rebuilding
from strata.cli.output import facts, print_json, print_rows, table
from strata.cli.session import AsJson, session_of
from strata.client.results import Model
from strata.client.score_results import ScoreMatrix

app: Final = typer.Typer(help="Models that keep learning.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The model's name or id.")]


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it will be called.")],
    *,
    base_model: Annotated[str, typer.Option("--base-model", "-b", help="The base model it starts from.")],
    method: Annotated[str | None, typer.Option(help="Default method of its tasks; see `strata methods`.")] = None,
    store_rows: Annotated[
        bool, typer.Option("--store-rows", help="Let methods such as replay keep rows of task files.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create a model; its version 0, the base, answers at once."""
    session = session_of(context)
    model = session.client.models.create(name, base_model=base_model, method=method, policy={"store_rows": store_rows})
    if as_json:
        print_json(model.to_json())
        return
    _show(session.results, model)
    session.notes.print(f"next: `strata tasks submit {name} FILE --name TASK --watch`")


@app.command("list")
def list_all(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the models."""
    session = session_of(context)
    rows = list(session.client.models.list())
    if as_json:
        print_rows(rows)
        return
    table(
        session.results,
        ("name", "base model", "latest", "created"),
        [(row.name or row.id, row.base_model, row.aliases.get("latest"), row.created_at) for row in rows],
    )


@app.command("show")
def show(context: typer.Context, model: Name, *, as_json: AsJson = False) -> None:
    """Show one model."""
    session = session_of(context)
    found = session.client.models.get(model)
    if as_json:
        print_json(found.to_json())
        return
    _show(session.results, found)


@app.command("matrix")
def matrix(context: typer.Context, model: Name, *, as_json: AsJson = False) -> None:
    """Show how well each version does on each task learned so far."""
    session = session_of(context)
    found = session.client.evaluations.matrix(model)
    if as_json:
        print_json(found.to_json())
        return
    print_matrix(session.results, found)


app.command("gate")(gate.change)
app.command("rebuild")(rebuilding.rebuild)
app.command("export")(exporting.export)


def print_matrix(console: Console, found: ScoreMatrix) -> None:
    """Print the score matrix: a row a version, a column a task, and the figures of continual learning."""
    base = _with_bounds(found.base_scores, found.base_low, found.base_high)
    rows: list[Sequence[object]] = [("base", *base, None)]
    if any(score is not None for score in found.base_option_scores):
        rows.append(("base, by option", *found.base_option_scores, None))
    for index, scores in enumerate(found.scores):
        density = found.density[index] if index < len(found.density) else None
        share = None if density is None else f"{density:.4%}"
        bounds = (found.low[index], found.high[index]) if found.low and found.high else ((), ())
        rows.append((_row_name(found, index), *_with_bounds(scores, *bounds), share))
    metric = "score" if set(found.metrics) - {"exact_match"} else "exact match"
    gone = found.left_out or [False] * len(found.tasks)
    columns = [f"{task} (left out)" if out else task for task, out in zip(found.tasks, gone, strict=True)]
    table(console, (f"{metric} on", *columns, "delta density"), rows)
    facts(
        console,
        [
            ("OA", _counted(found, "oa", found.oa)),
            ("BWT", _counted(found, "bwt", found.bwt)),
            ("forgetting", _counted(found, "forgetting", found.forgetting)),
            ("plasticity", _counted(found, "plasticity", found.plasticity)),
            ("against scratch", _counted(found, "fwt_vs_scratch", found.fwt_vs_scratch)),
            ("general perplexity", found.general_perplexity[-1] if found.general_perplexity else None),
            ("of the base", found.base_general_perplexity),
        ],
    )


def _with_bounds(
    scores: Sequence[float | None], low: Sequence[float | None], high: Sequence[float | None]
) -> list[object]:
    """Return scores as cells, with their intervals where the service measured them."""
    bounds = zip(low, high, strict=True) if low and high else [(None, None)] * len(scores)
    return [
        score if score is None or least is None or most is None else f"{score:.3f} ({least:.2f} to {most:.2f})"
        for score, (least, most) in zip(scores, bounds, strict=True)
    ]


def _counted(found: ScoreMatrix, figure: str, value: float | None) -> object:
    """Return a figure, and over how many tasks it is where that is not all of them."""
    count = found.n_tasks.get(figure)
    return value if value is None or count is None else f"{value:.3f}, over {count} tasks"


def _row_name(found: ScoreMatrix, index: int) -> str:
    """Return what the version of a row came of: of learning a task, or of leaving some out."""
    learned_in = found.learned_in or range(len(found.tasks))
    learned = [task for task, row in zip(found.tasks, learned_in, strict=True) if row == index]
    return f"after {learned[0]}" if learned else f"rebuilt, version {found.numbers[index]}"


def _show(console: Console, model: Model) -> None:
    facts(
        console,
        [
            ("name", model.name or model.id),
            ("id", model.id),
            ("base model", model.base_model),
            ("latest", model.aliases.get("latest")),
            ("created", model.created_at),
        ],
    )

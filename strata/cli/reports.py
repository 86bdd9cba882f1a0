"""`strata models report`: what a model learned and what it still knows, on the terminal or in a file."""

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from strata.cli.output import facts, print_json, table
from strata.cli.session import AsJson, Session, session_of
from strata.client.report_results import Measure, ModelReport


def _drawing(file: typer.FileTextWrite | None) -> typer.FileTextWrite | None:
    if file is not None and not file.name.lower().endswith(".svg"):
        raise typer.BadParameter("figures are written as SVG: name a file that ends in .svg")
    return file


def report(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The model's name or id.")],
    *,
    as_json: AsJson = False,
    html: Annotated[
        typer.FileTextWrite | None, typer.Option(metavar="FILE", help="Save the report as one page.", encoding="utf-8")
    ] = None,
    plot: Annotated[
        typer.FileTextWrite | None,
        typer.Option(metavar="FILE.svg", help="Save its figures.", encoding="utf-8", callback=_drawing),
    ] = None,
) -> None:
    """Report what a model learned, what it still knows, and from what it was made."""
    session = session_of(context)
    models = session.client.models
    if html is not None:
        _save(session, html, models.report_document(model, format="html"))
    if plot is not None:
        _save(session, plot, models.report_document(model, format="svg"))
    if as_json:
        print_json(models.report(model).to_json())
    elif html is None and plot is None:
        _show(session.results, models.report(model))


def _save(session: Session, file: typer.FileTextWrite, document: str) -> None:
    file.write(document)
    session.notes.print(f"written: {escape(file.name)}", soft_wrap=True)


def _show(console: Console, found: ModelReport) -> None:
    facts(
        console,
        [
            ("lineage of", found.latest),
            ("base model", found.base.get("name")),
            ("digest of the base", found.base.get("digest")),
        ],
    )
    if found.learned:
        _show_scores(console, found)
        _show_lineage(console, found)
        _show_overlaps(console, found)
    rows = [
        (
            row.version,
            row.state,
            row.gate and row.gate.get("verdict"),
            " ".join(row.aliases),
            row.task,
            row.parent,
            row.made_at,
        )
        for row in found.versions
    ]
    table(console, ("version", "state", "gate", "aliases", "task", "parent", "made"), rows, title="versions")


def _show_scores(console: Console, found: ModelReport) -> None:
    rows = [("base", *map(_score, found.base_scores))]
    if any(found.base_option_scores):
        rows.append(("base, by option", *map(_score, found.base_option_scores)))
    for step, scores in zip(found.lineage, found.scores, strict=False):
        rows.append((step.version, *map(_score, scores)))
    table(console, ("score on", *(entry.task for entry in found.learned)), rows, title="scores, with 95 % intervals")


def _show_lineage(console: Console, found: ModelReport) -> None:
    methods = {entry.version: entry.method for entry in found.learned}
    rows = [
        (
            step.version,
            step.deed,
            methods.get(step.version),
            None if step.density is None else f"{step.density:.4%}",
            step.perplexity and step.perplexity.value,
            figures.oa,
            figures.bwt,
            figures.forgetting,
            figures.plasticity,
        )
        for step, figures in zip(found.lineage, found.after, strict=False)
    ]
    head = ("version", "task", "method", "delta density", "perplexity", "OA", "BWT", "forgetting", "plasticity")
    table(console, head, rows, title="after each task")


def _show_overlaps(console: Console, found: ModelReport) -> None:
    if not found.overlaps:
        return
    names = [step.deed for step in found.lineage]
    rows = [
        (names[pair["earlier"]], names[pair["later"]], pair.get("shared"), pair.get("cosine"))
        for pair in found.overlaps
    ]
    table(console, ("task", "and", "shared entries", "cosine"), rows, title="overlap of deltas")


def _score(cell: Measure | None) -> str | None:
    """Return a score with its interval, as far as it is known."""
    if cell is None:
        return None
    known = cell.low is not None and cell.high is not None
    return f"{cell.value:.3f} [{cell.low:.3f}, {cell.high:.3f}]" if known else f"{cell.value:.3f}"

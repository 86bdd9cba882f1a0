"""The sections of a model's report: each a figure with the same numbers as a table."""

from collections.abc import Iterator
from typing import Final

from api.pages import figures_of_models
from api.pages.drawing import Drawing
from api.pages.figures_of_models import named
from api.pages.markup import Markup, element
from api.pages.numbers import NOTHING, digest, measure, moment, percent, share, signed, whole
from api.pages.tables import facts, folded, table, words_table
from core.domain.model_report import ModelReport

_AS_TABLE: Final = "The same numbers as a table"


def scores(report: ModelReport) -> Iterator[Markup]:
    """Yield the score matrix."""
    options = report.base_option_scores
    rows = [
        ("base", *map(measure, report.base_scores)),
        *([("base, by option likelihood", *map(measure, options))] if any(options) else []),
        *((named(step), *map(measure, row)) for step, row in zip(report.lineage, report.scores, strict=True)),
    ]
    metrics = [(entry.task, entry.metric, entry.version) for entry in report.learned]
    yield _figure(figures_of_models.scores(report))
    gone = [entry.task for entry in report.learned if entry.left_out]
    if gone:
        yield element("p", f"Left out of {report.latest}, and of its figures: {', '.join(gone)}.")
    yield folded(
        _AS_TABLE,
        table(
            "Score, its 95 % interval and the rows it was measured on",
            ("version", *(entry.task for entry in report.learned)),
            rows,
        ),
        words_table("By which metric each task is scored", ("task", "metric", "learned by"), metrics),
    )


def course(report: ModelReport) -> Iterator[Markup]:
    """Yield how the figures and each task's score went."""
    rows = [
        (
            named(step),
            whole(summary.n_tasks),
            share(summary.oa),
            signed(summary.bwt),
            share(summary.forgetting),
            share(summary.plasticity),
        )
        for step, summary in zip(report.lineage, report.after, strict=True)
    ]
    head = ("version", "tasks", "OA", "BWT", "forgetting", "plasticity")
    yield _figure(figures_of_models.course(report))
    told = "The band is the 95 % interval, where it is known; the dashed line is what the base scores."
    yield _figure(figures_of_models.tasks(report), told)
    yield folded(_AS_TABLE, table("Figures after each version, over the tasks in it", head, rows))


def ability(report: ModelReport) -> Iterator[Markup]:
    """Yield how far the model drifted on text that no task is about."""
    if not figures_of_models.has_ability(report):
        yield element("p", "Not measured.")
        return
    rows = [
        ("base", measure(report.base_perplexity)),
        *((named(step), measure(step.perplexity)) for step in report.lineage),
    ]
    told = "Perplexity of a fixed general text: lower is better, and far above the dashed line, the base's, is a loss."
    yield _figure(figures_of_models.ability(report), told)
    caption = "Perplexity, its 95 % interval and the rows of the text"
    yield folded(_AS_TABLE, table(caption, ("version", "perplexity"), rows))


def density(report: ModelReport) -> Iterator[Markup]:
    """Yield how much each version changed."""
    rows = [(named(step), percent(step.density), whole(step.delta_bytes)) for step in report.lineage if step.task]
    yield _figure(figures_of_models.density(report))
    caption = "Share of the adapted weights that a version changes"
    yield folded(_AS_TABLE, table(caption, ("version", "density", "bytes"), rows))


def overlap(report: ModelReport) -> Iterator[Markup]:
    """Yield what the versions' changes have in common."""
    if not report.overlaps:
        alone = len([step for step in report.lineage if step.task]) == 1
        yield element("p", "One delta has nothing to overlap with." if alone else "Not measured.")
        return
    names = [named(step) for step in report.lineage]
    rows = [
        (f"{names[pair.earlier]} and {names[pair.later]}", share(pair.shared), signed(pair.cosine))
        for pair in report.overlaps
    ]
    yield element("h3", "Shared entries")
    yield _figure(figures_of_models.shared(report))
    yield element("h3", "Direction")
    yield _figure(figures_of_models.cosine(report))
    yield folded(_AS_TABLE, table("What two deltas have in common", ("versions", "shared", "cosine"), rows))


def versions(report: ModelReport) -> Iterator[Markup]:
    """Yield every version there is, on the lineage or beside it."""
    rows = [
        (
            entry.version,
            element("span", entry.state, class_="good" if entry.state == "ready" else "bad"),
            " ".join(entry.aliases) or NOTHING,
            entry.task or NOTHING,
            entry.parent or NOTHING,
            moment(entry.made_at),
            digest(entry.digest),
        )
        for entry in report.versions
    ]
    head = ("version", "state", "aliases", "task", "parent", "made", "digest of the weights")
    yield words_table("Every version of the model", head, rows)


def explanations() -> Markup:
    """Return what the words mean."""
    told = [
        ("OA", "overall accuracy: the mean of the last version's scores over its tasks."),
        ("BWT", "backward transfer: how much the score on each earlier task changed since it was learned, on average."),
        ("forgetting", "how far each earlier task is below the best it ever was, on average."),
        ("plasticity", "the mean of each task's score right after it was learned."),
        ("density", "the share of the adapted layers' weights that a version's delta changes."),
        ("95 % interval", "of a score: how far other held-out rows of the same kind could have moved it."),
    ]
    return facts(told)


def _figure(drawn: Drawing, note: str = "") -> Markup:
    caption = element("figcaption", note) if note else Markup()
    return element("figure", element("div", drawn.inline(), class_="wide"), caption)

"""The sections of a model's report: each a figure with the same numbers as a table."""

from collections.abc import Iterator
from typing import Final

from api.pages import figures_of_models
from api.pages.drawing import Drawing
from api.pages.figures_of_models import first_rows, named
from api.pages.markup import Markup, element
from api.pages.numbers import NOTHING, digest, measure, moment, percent, share, signed, whole
from api.pages.tables import facts, folded, table, words_table
from core.domain.model_report import ModelReport

_AS_TABLE: Final = "The same numbers as a table"


def scores(report: ModelReport) -> Iterator[Markup]:
    """Yield the score matrix."""
    options, learned_in = report.base_option_scores, first_rows(report)
    rows = [
        ("base", *map(measure, report.base_scores)),
        *([("base, by option likelihood", *map(measure, options))] if any(options) else []),
        *(
            (
                named(step),
                *(NOTHING if cell is None and n < learned_in[t] else measure(cell) for t, cell in enumerate(row)),
            )
            for n, (step, row) in enumerate(zip(report.lineage, report.scores, strict=True))
        ),
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
            _over(share(summary.oa), summary.oa_tasks),
            _over(signed(summary.bwt), summary.bwt_tasks),
            _over(share(summary.forgetting), summary.forgetting_tasks),
            _over(share(summary.plasticity), summary.plasticity_tasks),
            _over(signed(summary.fwt_vs_scratch), summary.fwt_vs_scratch_tasks),
        )
        for step, summary in zip(report.lineage, report.after, strict=True)
    ]
    head = ("version", "tasks", "OA", "BWT", "forgetting", "plasticity", "against scratch")
    yield _figure(figures_of_models.course(report))
    told = "The band is the 95 % interval, where it is known; the dashed line is what the base scores."
    yield _figure(figures_of_models.tasks(report), told)
    yield folded(_AS_TABLE, table("Figures after each version, and over how many of its tasks each is", head, rows))


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


def gate(report: ModelReport) -> Iterator[Markup]:
    """Yield what the gate said of each version, on the lineage or beside it."""
    judged = [(entry.version, entry.gate) for entry in report.versions if entry.gate]
    if not judged:
        yield element("p", "No version was judged.")
        return
    rows = [
        (
            version,
            finding.rule.replace("_", " "),
            _verdict(finding.verdict),
            finding.says,
            NOTHING if finding.limit is None else f"{finding.limit:.3g}",
            ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in finding.figures.items()) or NOTHING,
        )
        for version, said in judged
        for finding in said.findings
    ]
    head = ("version", "rule", "verdict", "why", "limit", "figures")
    for version, said in judged:
        yield element("p", f"{version}: ", _verdict(said.verdict))
    yield folded("Rule by rule", words_table("What each rule said of each version", head, rows))


def _verdict(verdict: str) -> Markup:
    kind = {"passed": "good", "failed": "bad"}.get(verdict, "dim")
    return element("span", verdict.replace("_", " "), class_=kind)


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
        (
            "against scratch",
            "how far each task was learned better than alone, on average, where its user sent that score.",
        ),
        ("density", "the share of the adapted layers' weights that a version's delta changes."),
        ("95 % interval", "of a score: how far other held-out rows of the same kind could have moved it."),
    ]
    return facts(told)


def _over(figure: str, count: int) -> str:
    return f"{figure} ({count})" if count else figure


def _figure(drawn: Drawing, note: str = "") -> Markup:
    caption = element("figcaption", note) if note else Markup()
    return element("figure", element("div", drawn.inline(), class_="wide"), caption)

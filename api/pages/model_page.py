"""The report of a model as one page: it holds all that it shows, runs nothing and loads nothing."""

import base64
import hashlib
from typing import Final

from api.pages import drawing, figures_of_models, model_sections
from api.pages.markup import Markup, element, joined
from api.pages.numbers import moment, share, signed
from api.pages.settings_tables import settings_tables
from api.pages.style import STYLE
from api.pages.tables import facts
from core.domain.model_report import ModelReport, Summary

_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
# The page's own style and nothing else, whatever a name in it says.
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page(report: ModelReport) -> str:
    """Return the report as an HTML document."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{report.model}: what it learned and what it still knows"),
        element("style", Markup(STYLE)),
    )
    body = element("body", element("main", _opening(report), *_sections(report)))
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def picture(report: ModelReport) -> str:
    """Return the figures of the report as an SVG file."""
    figures = figures_of_models.everything(report)
    told = f"{report.latest} on {report.made_at}" if figures else f"{report.latest}: nothing was learned yet"
    return drawing.file(figures, title=told) + "\n"


def _opening(report: ModelReport) -> Markup:
    return joined(
        element("h1", f"{report.model}: what it learned and what it still knows"),
        facts(
            [
                ("lineage of", report.latest),
                ("base model", report.base.name),
                ("digest of the base", element("code", report.base.digest or "not recorded")),
                *([("model created", moment(report.created_at))] if report.created_at else []),
                ("report made", moment(report.made_at)),
            ]
        ),
    )


def _sections(report: ModelReport) -> list[Markup]:
    versions = []
    if report.versions:
        versions = [
            _section("Gate", *model_sections.gate(report)),
            _section("Versions", *model_sections.versions(report)),
        ]
    if not report.learned:
        nothing = element("p", "Nothing was learned yet: the model answers as its base does.")
        return [_section("Scores", nothing), *versions]
    return [
        _tiles(report.after[-1]),
        _section("Scores", *model_sections.scores(report)),
        _section("Over the lineage", *model_sections.course(report)),
        _section("General ability", *model_sections.ability(report)),
        _section("Density of deltas", *model_sections.density(report)),
        _section("Overlap of deltas", *model_sections.overlap(report)),
        _section("How each task was learned", settings_tables([(each.task, each.settings) for each in report.learned])),
        *versions,
        _section("How to read this", model_sections.explanations()),
    ]


def _section(title: str, *content: Markup) -> Markup:
    return element("section", element("h2", title), *content)


def _tiles(summary: Summary) -> Markup:
    tiles = [
        ("overall accuracy (OA)", share(summary.oa), summary.oa_tasks),
        ("backward transfer (BWT)", signed(summary.bwt), summary.bwt_tasks),
        ("forgetting", share(summary.forgetting), summary.forgetting_tasks),
        ("plasticity", share(summary.plasticity), summary.plasticity_tasks),
        *(
            [("forward transfer, against scratch", signed(summary.fwt_vs_scratch), summary.fwt_vs_scratch_tasks)]
            if summary.fwt_vs_scratch_tasks
            else []
        ),
    ]
    return element(
        "ul",
        *(
            element(
                "li",
                element("span", name),
                element("b", value),
                element("span", f"over {count} of {summary.n_tasks} task{'' if summary.n_tasks == 1 else 's'}"),
            )
            for name, value, count in tiles
        ),
        class_="tiles",
    )

"""The page of a model's report: whole, safe, and with every number of the report in it."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from made_reports import made_report, rebuilt_report

from api.pages import model_page
from core.domain.model_report import GateFinding, GateVerdict, ModelReport

HOSTILE = '<script>alert("&\'")</script>\x00\x1b[2J\u202e]]>'
SVG = "{http://www.w3.org/2000/svg}"


def tree(report: ModelReport) -> ET.Element:
    """Return the page, read strictly."""
    return ET.fromstring(model_page.page(report))


def words(root: ET.Element) -> str:
    return " ".join(
        text.strip() for part in root.iter() if part.tag != "style" for text in (part.text, part.tail) if text
    )


def numbers(value: Any) -> Iterator[float | int]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from numbers(each)
    elif isinstance(value, float | int) and not isinstance(value, bool):
        yield value


def written(value: float) -> set[str]:
    """Every way in which a page may write a number."""
    return {f"{value:.3g}", f"{value:.3f}", f"{value:+.3f}", f"{100 * value:.3g}%", f"{value:,}", json.dumps(value)}


@pytest.mark.parametrize("n_tasks", [1, 3, 15])
def test_the_page_holds_every_number_of_the_report(n_tasks: int) -> None:
    report = made_report(n_tasks)
    shown = {each.rstrip(",") for each in re.split(r"[\s\[\]()]+", words(tree(report)).replace(" %", "%"))}
    told = asdict(report)
    # Overlaps name their tasks by places, which the page shows as names.
    told["overlaps"] = [(pair["shared"], pair["cosine"]) for pair in told["overlaps"]]
    # A figure over no task is said to be not measured.
    missing = [value for value in numbers(told) if value and not written(value) & shown]
    assert missing == []


@pytest.mark.parametrize("n_tasks", [0, 1, 2, 15])
def test_the_page_is_well_formed_and_each_figure_has_its_table(n_tasks: int) -> None:
    root = tree(made_report(n_tasks))
    HTMLParser().feed(model_page.page(made_report(n_tasks)))
    for drawn in root.iter("svg"):
        assert drawn.get("role") == "img"
        assert drawn.get("aria-label")
    for table in root.iter("table"):
        width = len(table.findall("thead/tr/th"))
        assert {len(list(row)) for row in table.findall("tbody/tr")} <= {width}
        assert table.find("caption") is not None
    figures = len(list(root.iter("svg")))
    assert (figures, len(list(root.iter("details")))) == {0: (0, 0), 1: (5, 5)}.get(n_tasks, (7, 6))


def test_the_page_loads_and_runs_nothing() -> None:
    root = tree(made_report(3))
    kinds = {part.tag for part in root.iter()}
    assert not kinds & {
        "script",
        "link",
        "img",
        "image",
        "iframe",
        "object",
        "embed",
        "form",
        "a",
        "use",
        "foreignObject",
    }
    attributes = {name for part in root.iter() for name in part.attrib}
    assert not attributes & {"src", "href", "srcset", "style", "action"}
    assert not [name for name in attributes if name.startswith("on")]
    (style,) = root.iter("style")
    assert not re.search(r"url\(|@import|expression", style.text or "")


def test_the_policy_lets_the_pages_own_style_in_and_nothing_else() -> None:
    (style,) = tree(made_report(1)).iter("style")
    digest = base64.b64encode(hashlib.sha256((style.text or "").encode()).digest()).decode()
    policy = dict(part.split(" ", 1) for part in model_page.CONTENT_SECURITY_POLICY.split("; "))
    assert policy.pop("style-src") == f"'sha256-{digest}'"
    assert set(policy.values()) == {"'none'"}
    assert {"default-src", "frame-ancestors", "base-uri"} <= set(policy)


def test_what_people_named_is_shown_as_text_whatever_it_says() -> None:
    report = made_report(2)
    learned = [replace(each, task=HOSTILE, method=HOSTILE, metric=HOSTILE) for each in report.learned]
    lineage = [replace(each, task=HOSTILE) for each in report.lineage]
    learned[0] = replace(learned[0], settings={HOSTILE: {"question": HOSTILE, "options": [HOSTILE]}})
    said = GateVerdict(
        verdict=HOSTILE,
        findings=(GateFinding(rule=HOSTILE, verdict=HOSTILE, limit=None, figures={HOSTILE: 1.0}, says=HOSTILE),),
    )
    versions = [replace(each, task=HOSTILE, aliases=(HOSTILE,), gate=said) for each in report.versions]
    hostile = replace(report, model=HOSTILE, learned=tuple(learned), lineage=tuple(lineage), versions=tuple(versions))
    for document in (model_page.page(hostile), model_page.picture(hostile)):
        root = ET.fromstring(document)
        assert not [part for part in root.iter() if part.tag.rpartition("}")[2] == "script"]
        assert "\u202e" not in document
        assert "\x1b" not in document
    shown = words(tree(hostile))
    assert '<script>alert("&\'")</script>\ufffd\ufffd[2J\ufffd]]>' in shown


def test_what_was_not_measured_is_said() -> None:
    report = made_report(3)
    scores = tuple(tuple(None for _ in row) for row in report.scores)
    lineage = tuple(replace(each, density=None, delta_bytes=None, perplexity=None) for each in report.lineage)
    after = tuple(
        replace(each, oa=None, bwt=None, forgetting=None, plasticity=None, oa_tasks=0) for each in report.after
    )
    bare = replace(
        report,
        scores=scores,
        lineage=lineage,
        after=after,
        overlaps=None,
        base_scores=(None,) * 3,
        base_option_scores=(),
        base_perplexity=None,
    )
    root = tree(bare)
    tiles = [tile.findtext("b") for tile in root.iter("li")]
    assert tiles == ["not measured"] * 4
    missing = [part for part in root.iter("rect") if part.get("class") == "missing"]
    # Three cells of the base, and six of what was learned by then.
    assert len(missing) == 9
    assert words(root).count("Not measured.") == 2
    assert "None" not in words(root)
    assert "nan" not in words(root)


def test_a_model_that_learned_nothing_says_so() -> None:
    root = tree(made_report(0))
    assert "Nothing was learned yet" in words(root)
    assert "desk@0" in words(root)
    assert "nothing was learned yet" in words(ET.fromstring(model_page.picture(made_report(0))))


def test_a_task_that_was_left_out_is_told_with_what_is_left_of_it() -> None:
    root = tree(rebuilt_report(3, without=1))
    shown = words(root)
    assert "Left out of desk@4, and of its figures: task-1." in shown
    assert "@4 without task-1" in shown
    assert "0.100 [0.060, 0.140], 200 rows" in shown
    # The rebuilt version has no delta of its own: density and overlap are of the three that learned.
    assert len([bar for bar in root.iter("rect") if bar.get("class") == "bar"]) == 3


def test_what_the_gate_said_is_told_rule_by_rule() -> None:
    report = made_report(2)
    finding = GateFinding(
        rule="floor", verdict="failed", limit=0.6, figures={"value": 0.55}, says="it knows too little"
    )
    refused = replace(report.versions[2], state="rejected", gate=GateVerdict(verdict="failed", findings=(finding,)))
    shown = words(tree(replace(report, versions=(*report.versions[:2], refused))))
    for told in ("desk@2:", "failed", "floor", "it knows too little", "value 0.55", "not judged"):
        assert told in shown
    unasked = tuple(replace(each, gate=None) for each in report.versions)
    assert "No version was judged." in words(tree(replace(report, versions=unasked)))


def test_the_figures_are_written_as_one_drawing_that_stands_alone() -> None:
    root = ET.fromstring(model_page.picture(made_report(3)))
    assert root.tag == f"{SVG}svg"
    assert len(root.findall(f"{SVG}svg")) == 7
    assert root.find(f"{SVG}style") is not None
    for drawn in root.findall(f"{SVG}svg"):
        right = float(drawn.get("x", "")) + float(drawn.get("width", ""))
        below = float(drawn.get("y", "")) + float(drawn.get("height", ""))
        assert right <= float(root.get("width", ""))
        assert below <= float(root.get("height", ""))


def test_numbers_are_readable_on_their_colours() -> None:
    """By the contrast of WCAG 2.2, 1.4.3: 4.5 to 1 for text of this size."""
    for cell in tree(made_report(15)).iter("g"):
        rect, text = cell.find("rect"), cell.find("text")
        if rect is None or text is None or not rect.get("fill") or text.get("class") != "cell":
            continue
        lighter, darker = sorted((luminance(rect.get("fill", "")), luminance(text.get("fill", ""))), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def luminance(colour: str) -> float:
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

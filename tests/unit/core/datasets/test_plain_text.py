"""Text alone is a format of its own, told apart from text with a label by the first row."""

import json
from typing import Any

import pytest

from core.datasets import templates
from core.datasets.example import Document
from core.datasets.report import ValidationReport
from core.datasets.validator import Validator
from core.domain.errors import InvalidError


def validate(*lines: dict[str, Any]) -> ValidationReport:
    validator = Validator(max_rows=100)
    validator.feed(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    return validator.finish()


def test_text_alone_is_plain_text_and_text_with_a_label_is_not() -> None:
    assert validate({"text": "a"}, {"text": "b"}).format == "text"
    assert validate({"text": "a", "source": "x"}, {"text": "b"}).warnings == ("columns that are not used: source",)
    assert validate({"text": "a", "label": "x"}, {"text": "b", "label": "y"}).format == "text_label"


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"text": "a"}, {"text": "b", "label": "x"}, "a 'label' where the first row has none"),
        ({"text": "a", "label": "x"}, {"text": "b"}, "missing field 'label'"),
        ({"text": "a"}, {"text": " "}, "no visible character"),
        ({"text": "a"}, {"text": ["b"]}, "'text' must be a string"),
        ({"text": "a"}, {"prompt": "b"}, "missing field 'text'"),
    ],
)
def test_a_row_that_does_not_fit_the_first_is_named(first: Any, second: Any, message: str) -> None:
    (error,) = validate(first, second).errors
    assert error.line == 2
    assert message in error.message


def test_a_document_is_rendered_as_it_is_and_asked_for_its_continuation() -> None:
    template = templates.build("text", labels=None)
    assert template.render({"text": " a\nb "}) == Document(" a\nb ")
    assert template.request({"text": "The harbour"}) == {"prompt": "The harbour"}
    with pytest.raises(InvalidError):
        template.request({"prompt": "The harbour"})


@pytest.mark.parametrize("name", ["text", "messages"])
def test_a_question_or_options_are_for_labels_alone(name: str) -> None:
    with pytest.raises(InvalidError) as raised:
        templates.build(name, labels=None, question="?", options=["a", "b"])
    assert [place.loc[-1] for place in raised.value.places] == ["question", "options"]

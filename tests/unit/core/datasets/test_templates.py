"""A row becomes a prompt and a target, always the same ones."""

import pytest
from pydantic import ValidationError

from core.datasets import templates
from core.datasets.catalogue import FORMATS
from core.datasets.example import Example
from core.datasets.templates import Template
from core.domain.errors import InvalidError


def test_a_classification_row_is_a_question_with_options() -> None:
    template = templates.build("text_label", labels=["quill", "basalt"], question="Which code?")
    example = template.render({"text": "Two\nlines", "label": "quill"})
    assert isinstance(example, Example)
    assert example.prompt == "Which code?\nOptions: basalt, quill\nTwo\nlines\nAnswer:"
    assert example.target == " quill"
    assert example.options == ("basalt", "quill")
    assert example.cut is not None
    assert example.prompt[slice(*example.cut)] == "Two\nlines"


def test_options_keep_the_order_of_the_spec() -> None:
    template = templates.build("text_label", labels=["a", "b"], options=["b", "c", "a"])
    assert template.options == ("b", "c", "a")


def test_numbers_are_written_as_text() -> None:
    template = templates.build("text_label", labels=["0", "1"])
    example = template.render({"text": "t", "label": 1})
    assert isinstance(example, Example)
    assert example.target == " 1"


def test_prompt_and_completion_are_taken_as_they_are() -> None:
    example = templates.build("prompt_completion", labels=None).render({"prompt": " {p} ", "completion": "c\n"})
    assert example == Example(" {p} ", "c\n")


@pytest.mark.parametrize(
    ("options", "place"),
    [
        (["a"], ("spec", "data", "options")),
        (["a", "b", "b"], ("spec", "data", "options")),
        (["a", "b", " c"], ("spec", "data", "options", 2)),
        ([], ("spec", "data", "options")),
    ],
)
def test_options_that_do_not_fit_the_file_are_refused(options: list[str], place: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidError) as raised:
        templates.build("text_label", labels=["a", "b"], options=options)
    assert raised.value.code == "invalid_request"
    assert raised.value.places[0].loc == place


def test_a_format_without_options_refuses_them() -> None:
    with pytest.raises(InvalidError) as raised:
        templates.build("prompt_completion", labels=None, question="?", options=["a"])
    assert [place.loc[-1] for place in raised.value.places] == ["question", "options"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_template_survives_storage(name: str) -> None:
    template = templates.build(name, labels=["a", "b"])
    assert Template.model_validate_json(template.model_dump_json()) == template


def test_a_template_of_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValidationError):
        Template(format="csv")


def test_an_input_is_prompted_as_its_task_was() -> None:
    template = templates.build("text_label", labels=["a", "b"])
    example = template.render({"text": "new", "label": "a"})
    assert isinstance(example, Example)
    assert template.request({"text": "new"}) == {"prompt": example.prompt}


@pytest.mark.parametrize("inputs", [{}, {"text": 3}, {"prompt": "x"}, {"text": "a", "label": "b"}])
def test_an_input_that_does_not_fit_is_refused(inputs: dict[str, object]) -> None:
    with pytest.raises(InvalidError) as raised:
        templates.build("text_label", labels=["a", "b"]).request(inputs)
    assert raised.value.places[0].loc == ("input",)

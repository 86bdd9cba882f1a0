"""Conversations in a file: what is accepted, what is learned of it, and how it is asked."""

import json
from typing import Any

import pytest

from core.datasets import rows, templates
from core.datasets.catalogue import FORMATS
from core.datasets.example import Conversation, Turn
from core.datasets.messages import MAX_MESSAGES
from core.datasets.report import ValidationReport
from core.datasets.validator import Validator
from core.domain.errors import InvalidError

SYSTEM = {"role": "system", "content": "Be brief."}
ASK = {"role": "user", "content": "When?"}
ANSWER = {"role": "assistant", "content": "At nine."}
PARTS = {"role": "user", "content": [{"type": "text", "text": "When?"}]}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}


def validate(*conversations: Any) -> ValidationReport:
    validator = Validator(max_rows=100)
    validator.feed(b"".join(json.dumps({"messages": each}).encode() + b"\n" for each in conversations))
    return validator.finish()


@pytest.mark.parametrize(
    "messages",
    [
        [ASK, ANSWER],
        [SYSTEM, ASK, ANSWER, ASK, ANSWER],
        [ASK, ASK, ANSWER, ANSWER],
        [ASK, ANSWER | {"weight": 0}, ASK, ANSWER | {"weight": 1}],
        [ASK | {"name": None}, ANSWER | {"tool_calls": None, "refusal": None, "weight": None}],
    ],
)
def test_a_conversation_is_accepted(messages: list[dict[str, Any]]) -> None:
    report = validate([ASK, ANSWER], messages)
    assert report.errors == ()
    assert (report.format, report.n_rows, report.columns, report.labels) == ("messages", 2, ("messages",), None)


@pytest.mark.parametrize(
    ("messages", "message", "hint"),
    [
        ([], "a list with at least one message", None),
        ("hello", "a list with at least one message", None),
        ({"role": "user"}, "a list with at least one message", None),
        (["hello", ANSWER], "message 1: must be an object", None),
        ([{"content": "a"}, ANSWER], "message 1: 'role' must be one of system, user, assistant", None),
        ([ASK | {"role": ["user"]}, ANSWER], "message 1: 'role' must be one of", None),
        ([SYSTEM | {"role": "developer"}, ASK, ANSWER], "message 1: 'role' must be one of", "call it 'system'"),
        ([ASK, ANSWER | {"role": "tool"}, ANSWER], "message 2: 'role' must be one of", "tool calls cannot be learned"),
        ([ASK, CALL, ANSWER], "message 2: holds a tool call", "tool calls cannot be learned"),
        ([ASK | {"name": "Ada"}, ANSWER], "message 1: has other fields", "leave them out"),
        ([PARTS, ANSWER], "message 1: 'content' must be one string, not a list of parts", "images"),
        ([{"role": "user"}, ANSWER], "message 1: 'content' must be a string", None),
        ([ASK, ANSWER | {"content": " \n"}], "message 2: 'content' has no visible character", None),
        ([ASK | {"weight": 1}, ANSWER], "message 1: only the assistant's messages have a 'weight'", None),
        ([ASK, ANSWER | {"weight": 0.5}], "message 2: 'weight' must be 0 or 1", None),
        ([ASK, ANSWER | {"weight": True}], "message 2: 'weight' must be 0 or 1", None),
        ([ASK, ANSWER | {"weight": "1"}], "message 2: 'weight' must be 0 or 1", None),
        ([ASK, SYSTEM, ANSWER], "a system message must be the first", None),
        ([ASK, ANSWER, ASK], "the last message must be the assistant's", "learns to write"),
        ([ASK], "the last message must be the assistant's", "learns to write"),
        ([ANSWER], "a user's message must come before", None),
        ([SYSTEM, ANSWER, ASK, ANSWER], "a user's message must come before", None),
        ([ASK, ANSWER | {"weight": 0}], "nothing to learn", None),
        ([ASK] * MAX_MESSAGES + [ANSWER], f"at most {MAX_MESSAGES} messages", None),
    ],
)
def test_a_conversation_that_cannot_be_learned_is_named_by_its_line(
    messages: Any, message: str, hint: str | None
) -> None:
    (error,) = validate([ASK, ANSWER], messages, [ASK, ANSWER]).errors
    assert error.line == 2
    assert message in error.message
    assert (hint or "") in (error.hint or "")


def test_faults_never_echo_what_was_sent() -> None:
    report = validate([ASK | {"role": "sekret"}, ANSWER | {"sekret": "sekret"}])
    assert "sekret" not in report.model_dump_json()


def test_the_identity_of_a_row_is_the_whole_conversation() -> None:
    turned = {"content": ASK["content"], "role": ASK["role"]}
    known = {
        rows.digest({"messages": each}, columns=("messages",))
        for each in ([ASK, ANSWER], [turned, ANSWER], [SYSTEM, ASK, ANSWER], [ASK, ANSWER | {"weight": 0}])
    }
    assert len(known) == 3
    assert validate([ASK, ANSWER], [turned, ANSWER]).warnings == ("1 rows repeat an earlier row",)


def test_the_assistants_turns_are_learned_unless_they_weigh_nothing() -> None:
    messages = [SYSTEM, ASK, ANSWER | {"weight": 0}, ASK, ANSWER, ASK, ANSWER | {"weight": 0}]
    rendered = templates.build("messages", labels=None).render({"messages": messages})
    assert isinstance(rendered, Conversation)
    assert [(turn.role, turn.learned) for turn in rendered.turns] == [
        ("system", False),
        ("user", False),
        ("assistant", False),
        ("user", False),
        ("assistant", True),
    ]
    assert rendered.turns[-1] == Turn("assistant", "At nine.", learned=True)


def test_a_conversation_is_asked_by_its_messages() -> None:
    template, form = templates.build("messages", labels=None), FORMATS["messages"]
    assert template.request({"messages": [SYSTEM, ASK]}) == {"messages": [SYSTEM, ASK]}
    asked = form.inputs({"messages": [SYSTEM, ASK, ANSWER, ASK, ANSWER]})
    assert asked == {"messages": [SYSTEM, ASK]}
    assert template.request(asked) == asked


@pytest.mark.parametrize(
    "inputs",
    [{}, {"messages": []}, {"messages": "x"}, {"messages": [PARTS]}, {"messages": [ASK], "x": "y"}, {"prompt": "x"}],
)
def test_an_input_that_is_no_conversation_is_refused(inputs: dict[str, Any]) -> None:
    with pytest.raises(InvalidError) as raised:
        templates.build("messages", labels=None).request(inputs)
    assert (raised.value.code, raised.value.places[0].loc) == ("invalid_input", ("input",))

"""`messages`: conversations, as chat APIs write them; what the assistant says is learned."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from core.datasets.example import Conversation, Fault, Row, Turn, input_refusal, text_fault
from core.domain.base_facts import BaseFacts
from core.domain.metrics import EXACT_MATCH, ROUGE_L, TOKEN_F1

MAX_MESSAGES: Final = 1_000
ROLES: Final = ("system", "user", "assistant")

_FIELDS: Final = frozenset({"role", "content", "weight"})
_CALLS: Final = frozenset({"tool_calls", "function_call", "tool_call_id"})
_ROLE_HINTS: Final = {
    "developer": "call it 'system'",
    "tool": "tool calls cannot be learned: leave such conversations out",
    "function": "tool calls cannot be learned: leave such conversations out",
}


class Messages:
    """``{"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}]}``.

    A system message may come first. ``"weight": 0`` on an assistant's message leaves it out of the loss.
    """

    name = "messages"
    columns = ("messages",)
    json_columns: tuple[str, ...] = ("messages",)
    metrics = (EXACT_MATCH, TOKEN_F1, ROUGE_L)
    more_metrics: tuple[str, ...] = ()

    def misfit(self, facts: BaseFacts) -> Fault | None:
        """Only a chat template says how messages become one text."""
        if facts.chat_template is not None:
            return None
        message = "the base model has no chat template, which says how messages become one text"
        return Fault(message, hint="post prompts with completions, or choose a chat model")

    def faults(self, row: Row) -> Iterator[Fault]:
        """Messages that are well formed, in an order that can be learned."""
        messages = row["messages"]
        if not isinstance(messages, list) or not messages:
            yield Fault("'messages' must be a list with at least one message")
            return
        broken = list(_message_faults(messages))
        yield from broken or _order_faults(messages)

    def label(self, row: Row) -> str | None:
        """There are no classes here."""
        del row
        return None

    def render(self, row: Row, *, question: str | None, options: Sequence[str] | None) -> Conversation:
        """Mark the assistant's turns; what follows the last one that is learned teaches nothing and is left out."""
        del question, options
        turns = [Turn(each["role"], each["content"], _is_learned(each)) for each in row["messages"]]
        while not turns[-1].learned:
            turns.pop()
        return Conversation(tuple(turns))

    def inputs(self, row: Row) -> dict[str, Any]:
        """A user sends the system message and what was said before the last answer."""
        messages = [{"role": each["role"], "content": each["content"]} for each in row["messages"][:-1]]
        system = [each for each in messages[:-1] if each["role"] == "system"]
        return {"messages": [*system, messages[-1]]}

    def request(self, inputs: Row, *, question: str | None, options: Sequence[str] | None) -> dict[str, Any]:
        """The messages go on as they are."""
        del question, options
        messages = inputs.get("messages")
        if set(inputs) != {"messages"} or not isinstance(messages, list) or not messages:
            raise input_refusal("must be an object with the one list 'messages'")
        for fault in _message_faults(messages):
            raise input_refusal(fault.message)
        return {"messages": [{"role": each["role"], "content": each["content"]} for each in messages]}


def _message_faults(messages: list[Any]) -> Iterator[Fault]:
    if len(messages) > MAX_MESSAGES:
        yield Fault(f"a conversation has at most {MAX_MESSAGES} messages")
        return
    for number, message in enumerate(messages, start=1):
        fault = _message_fault(message)
        if fault:
            yield Fault(f"message {number}: {fault.message}", fault.hint)


def _message_fault(message: Any) -> Fault | None:
    if not isinstance(message, dict):
        return Fault("must be an object with 'role' and 'content'")
    return (
        _role_fault(message.get("role")) or _field_fault(message) or _content_fault(message) or _weight_fault(message)
    )


def _role_fault(role: Any) -> Fault | None:
    if isinstance(role, str) and role in ROLES:
        return None
    hint = _ROLE_HINTS.get(role) if isinstance(role, str) else None
    return Fault(f"'role' must be one of {', '.join(ROLES)}", hint)


def _field_fault(message: Mapping[str, Any]) -> Fault | None:
    others = {name for name, value in message.items() if value is not None} - _FIELDS
    if others & _CALLS:
        return Fault("holds a tool call", hint=_ROLE_HINTS["tool"])
    if others:
        return Fault("has other fields than 'role', 'content' and 'weight'", hint="leave them out")
    return None


def _content_fault(message: Mapping[str, Any]) -> Fault | None:
    if isinstance(message.get("content"), list):
        return Fault("'content' must be one string, not a list of parts", hint="images and audio cannot be learned")
    return text_fault({"content": message.get("content")}, "content")


def _weight_fault(message: Mapping[str, Any]) -> Fault | None:
    weight = message.get("weight")
    if weight is None:
        return None
    if message["role"] != "assistant":
        return Fault("only the assistant's messages have a 'weight'")
    if isinstance(weight, bool) or weight not in (0, 1):
        return Fault("'weight' must be 0 or 1")
    return None


def _order_faults(messages: list[Any]) -> Iterator[Fault]:
    roles = [message["role"] for message in messages]
    if "system" in roles[1:]:
        yield Fault("a system message must be the first")
    if roles[-1] != "assistant":
        yield Fault("the last message must be the assistant's", hint="it is what the model learns to write")
        return
    if roles[0] == "assistant" or roles[:2] == ["system", "assistant"]:
        yield Fault("a user's message must come before the assistant's first")
    if not any(_is_learned(message) for message in messages):
        yield Fault("every assistant message has the weight 0: there is nothing to learn")


def _is_learned(message: Mapping[str, Any]) -> bool:
    # A weight that is null was not given.
    return message["role"] == "assistant" and message.get("weight") in (None, 1)

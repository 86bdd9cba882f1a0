"""Messages to token ids by the model's own chat template; only the template writes control tokens.

A control token that is spelled inside a message is marked before the template is rendered, and encoded as the plain
text it is (`transformers.utils.chat_template_utils`).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.domain.errors import InvalidError

Messages = Sequence[Mapping[str, str]]


def encode_chat(tokenizer: Any, messages: Messages) -> list[int]:
    """Return the ids of a conversation, up to where the answer begins.

    Raises:
        InvalidError: code ``no_chat_template``, or ``invalid_messages``: the template refuses them.
    """
    return _encoded(tokenizer, _rendered(tokenizer, messages, generation_prompt=True))


def encode_answer(tokenizer: Any, messages: Messages) -> tuple[list[int], list[int]]:
    """Return the ids that lead up to the last message, and those of the message with all that ends its turn.

    The first are what the model is asked with; the second are what the template adds when the answer is there.

    Raises:
        InvalidError: as `encode_chat`; also when the template does not write the answer behind its own generation
            prompt, so that what is learned would not be what is asked.
    """
    before = _rendered(tokenizer, messages[:-1], generation_prompt=True)
    whole = _rendered(tokenizer, messages, generation_prompt=False)
    if not whole.startswith(before) or whole == before:
        message = "the model's chat template does not write an answer behind its own generation prompt"
        raise InvalidError(message, code="invalid_messages")
    prompt, both = _encoded(tokenizer, before), _encoded(tokenizer, whole)
    if both[: len(prompt)] == prompt:
        return prompt, both[len(prompt) :]
    # Prompt and answer would share a token: they are encoded apart, as they are when the model is asked.
    return prompt, _encoded(tokenizer, whole[len(before) :])


def turn_end(tokenizer: Any, answer: Sequence[int]) -> int | None:
    """Return the control token that ends an answer of `encode_answer`: the first behind its last visible text."""
    special = set(tokenizer.all_special_ids)
    end = None
    for token in reversed(answer):
        if token in special:
            end = token
        elif tokenizer.decode([token]).strip():
            break
    return end


def _rendered(tokenizer: Any, messages: Messages, *, generation_prompt: bool) -> str:
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import mark_control_tokens

    if not tokenizer.chat_template:
        raise InvalidError("this model has no chat template: send a prompt", code="no_chat_template")
    spelled = _control_tokens(tokenizer)
    plain = [{"role": each["role"], "content": mark_control_tokens(each["content"], spelled)} for each in messages]
    try:
        text = tokenizer.apply_chat_template(plain, add_generation_prompt=generation_prompt, tokenize=False)
    except TemplateError as error:
        raise InvalidError("the model's chat template refuses these messages", code="invalid_messages") from error
    return str(text)


def _encoded(tokenizer: Any, text: str) -> list[int]:
    from transformers.utils.chat_template_utils import encode_marked_chat

    try:
        return list(encode_marked_chat(tokenizer, text))
    except ValueError as error:
        message = "a message spells a control token that the tokenizer cannot write as text"
        raise InvalidError(message, code="invalid_messages") from error


def _control_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Match every special token, and every added one that the template writes; the longest first."""
    template = tokenizer.get_chat_template()
    added = tokenizer.added_tokens_decoder.values()
    found = {each.content for each in added if each.special or (each.content in template and each.content.strip())}
    longest_first = sorted(found, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

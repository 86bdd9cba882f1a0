"""Chat templates of several kinds, on a tiny tokenizer that knows their control tokens."""

import copy
from typing import Any

_MARK = "<|im_start|>{{ m['role'] }}\n"
_PROMPT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

CHATML = "{% for m in messages %}" + _MARK + "{{ m['content'] }}<|im_end|>\n{% endfor %}" + _PROMPT
LLAMA_3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
# Closes the whole text where nothing is asked.
CLOSING = (
    "{% for m in messages %}" + _MARK + "{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% else %}<|endoftext|>{% endif %}"
)
# Leaves thinking out of the past.
FORGETFUL = (
    "{% for m in messages %}"
    + _MARK
    + "{% if loop.last and m['role'] == 'assistant' %}think: nothing\n{% endif %}{{ m['content'] }}<|im_end|>\n"
    + "{% endfor %}"
    + _PROMPT
)
# Its generation prompt is not how an answer begins.
CONTRARY = (
    "{% for m in messages %}" + _MARK + "{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}Answer now:{% endif %}"
)
STRICT = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system messages') }}{% endif %}"
    + _MARK
    + "{{ m['content'] }}<|im_end|>\n{% endfor %}"
    + _PROMPT
)


def speaking(tokenizer: Any, template: str) -> Any:
    """Return a copy of ``tokenizer`` that writes messages by ``template``."""
    own = copy.deepcopy(tokenizer)
    tokens = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    own.add_special_tokens({"additional_special_tokens": tokens})
    own.chat_template = template
    return own

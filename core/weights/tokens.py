"""Text to token ids: what users write never becomes a control token.

A special token that is spelled inside a prompt, a target or a document is encoded as the plain text it is; for messages
see `core.weights.chat`. Only the tokenizer's own conventions (its start token) and the end of a target write control
tokens.
"""

from typing import Any

from core.domain.base_facts import Family


def encode_prompt(
    tokenizer: Any,
    text: str,
    family: Family,
    *,
    max_tokens: int | None = None,
    cut: tuple[int, int] | None = None,
) -> list[int]:
    """Return the ids of a prompt.

    A causal prompt starts by the tokenizer's own convention and never ends with the end token; a seq2seq source always
    does. A prompt longer than ``max_tokens`` loses characters at the end of its span ``cut``, as far as that goes; of
    what is still too long the end is kept, and its control tokens.
    """
    if max_tokens is not None and cut is not None:
        text = _shortened(tokenizer, text, family, max_tokens=max_tokens, cut=cut)
    text_ids = encode_text(tokenizer, text)
    framed = list(tokenizer(text, add_special_tokens=True, split_special_tokens=True).input_ids)
    head, tail = _frame(framed, text_ids)
    if family == "seq2seq":
        tail = tail if tokenizer.eos_token_id in tail else [*tail, tokenizer.eos_token_id]
    else:
        tail = [token for token in tail if token != tokenizer.eos_token_id]
    if max_tokens is not None:
        room = max(max_tokens - len(head) - len(tail), 0)
        text_ids = text_ids[len(text_ids) - min(room, len(text_ids)) :]
    return [*head, *text_ids, *tail]


def encode_target(tokenizer: Any, text: str, *, max_tokens: int | None = None) -> list[int]:
    """Return the ids of a target and the end token; a longer one than ``max_tokens`` loses its end, never the token."""
    ids = encode_text(tokenizer, text)
    if max_tokens is not None:
        ids = ids[: max(max_tokens - 1, 0)]
    return [*ids, tokenizer.eos_token_id]


def encode_document(tokenizer: Any, text: str) -> list[int]:
    """Return the ids of a text that stands for itself: begun by the tokenizer's own convention, and ended."""
    return [*encode_prompt(tokenizer, text, "causal"), tokenizer.eos_token_id]


def encode_text(tokenizer: Any, text: str) -> list[int]:
    """Return the ids of bare text: no control token can come out of it."""
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids)


def end_token_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return every token that ends an answer: the tokenizer's, and those of the model's generation settings."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    more = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in (tokenizer.eos_token_id, *more) if isinstance(token, int))


def _shortened(tokenizer: Any, text: str, family: Family, *, max_tokens: int, cut: tuple[int, int]) -> str:
    """Return ``text`` with as much of its span ``cut`` as fits; the tokens around a cut may join, so it is measured."""
    start, end = cut
    ids = encode_text(tokenizer, text[start:end])
    keep = len(ids)
    while (over := len(encode_prompt(tokenizer, text, family)) - max_tokens) > 0 and keep > 0:
        keep = max(keep - over, 0)
        kept = tokenizer.decode(ids[:keep], clean_up_tokenization_spaces=False)
        text, end = text[:start] + kept + text[end:], start + len(kept)
    return text


def _frame(framed: list[int], inner: list[int]) -> tuple[list[int], list[int]]:
    """Split what the tokenizer put around the text into what stands before it and what stands after."""
    extra = len(framed) - len(inner)
    for start in range(extra + 1):
        if framed[start : start + len(inner)] == inner:
            return framed[:start], framed[start + len(inner) :]
    return [], []

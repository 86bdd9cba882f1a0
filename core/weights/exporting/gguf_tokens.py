"""The vocabulary of a byte-level BPE in a GGUF file, and how text is split before its merges apply.

The format names the ways to split that its readers know (`tokenizer.ggml.pre`). A tokenizer that splits otherwise would
be read as another one, so it is refused.
"""

import json
from typing import Any, Final

from core.domain.errors import InvalidError

# As Llama 3 splits: the pattern that stands in its own tokenizer.json.
_LLAMA_3: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def describe(file: Any, tokenizer: Any, *, n_tokens: int) -> None:
    """Write a tokenizer into a GGUF file that is being made.

    Args:
        file: a `gguf.GGUFWriter`.
        tokenizer: of transformers, over one of `tokenizers`.
        n_tokens: rows of the embedding; those without a token get one that nothing spells.

    Raises:
        InvalidError: ``unsupported_export``: it is none that the format can say.
    """
    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    _require_byte_level(parts)
    added = {token["id"]: token for token in parts["added_tokens"]}
    by_id = {number: text for text, number in parts["model"]["vocab"].items()} | {
        number: token["content"] for number, token in added.items()
    }
    if max(by_id) >= n_tokens:
        raise _refusal("it has more tokens than the model has embeddings")
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre(_splitting(parts["pre_tokenizer"]))
    file.add_token_list([by_id.get(number, f"[PAD{number}]") for number in range(n_tokens)])
    file.add_token_types([_kind(number, by_id, added) for number in range(n_tokens)])
    file.add_token_merges([" ".join(merge) if isinstance(merge, list) else merge for merge in parts["model"]["merges"]])
    _name_special(file, tokenizer)


def _kind(number: int, by_id: dict[int, str], added: dict[int, Any]) -> int:
    from gguf import TokenType

    if number in added:
        return int(TokenType.CONTROL if added[number]["special"] else TokenType.USER_DEFINED)
    return int(TokenType.NORMAL if number in by_id else TokenType.UNUSED)


def _name_special(file: Any, tokenizer: Any) -> None:
    named = (
        (file.add_bos_token_id, tokenizer.bos_token_id),
        (file.add_eos_token_id, tokenizer.eos_token_id),
        (file.add_unk_token_id, tokenizer.unk_token_id),
        (file.add_pad_token_id, tokenizer.pad_token_id),
    )
    for write, number in named:
        if number is not None:
            write(number)
    framed = tokenizer("a").input_ids
    file.add_add_bos_token(bool(framed) and framed[0] == tokenizer.bos_token_id)
    file.add_add_eos_token(bool(framed) and framed[-1] == tokenizer.eos_token_id)
    if isinstance(tokenizer.chat_template, str):
        file.add_chat_template(tokenizer.chat_template)


def _require_byte_level(parts: dict[str, Any]) -> None:
    model = parts["model"]
    if model["type"] != "BPE" or model.get("byte_fallback") or parts.get("normalizer"):
        raise _refusal("it is no byte-level BPE")


def _splitting(pre: dict[str, Any] | None) -> str:
    """Return what the format calls the way in which a tokenizer splits."""
    steps = [] if pre is None else pre.get("pretokenizers", [pre])
    kinds = tuple(step["type"] for step in steps)
    last = steps[-1] if steps else {}
    if last.get("type") == "ByteLevel" and not last.get("add_prefix_space"):
        if kinds == ("ByteLevel",) and last["use_regex"]:
            return "gpt-2"
        if kinds == ("Digits", "ByteLevel") and steps[0]["individual_digits"] and last["use_regex"]:
            return "smollm"
        if kinds == ("Split", "ByteLevel") and steps[0]["pattern"] == {"Regex": _LLAMA_3} and not last["use_regex"]:
            return "llama-bpe"
    raise _refusal(f"the format has no name for how it splits text ({', '.join(kinds) or 'not at all'})")


def _refusal(why: str) -> InvalidError:
    return InvalidError(
        f"the model's tokenizer cannot be written as gguf: {why}; export it as merged", code="unsupported_export"
    )

"""Reads the facts of a loaded base model that the rest of the service needs without torch."""

from hashlib import sha256
from typing import Any, Final

from torch import nn

from core.domain.base_facts import BaseFacts, Family
from core.domain.errors import InvalidError
from core.weights.digests import unique_tensors
from core.weights.linear import is_linear, outputs_first, tied

# What methods adapt unless told otherwise: query and value projections, by the names families give them.
_TARGETS: Final = (("q_proj", "v_proj"), ("q", "v"), ("query", "value"), ("q_lin", "v_lin"))
_FUSED_TARGETS: Final = ("qkv_proj", "query_key_value", "Wqkv", "in_proj", "c_attn")
# Tokenizers that know no limit claim 10^30; models without absolute positions state none.
_UNSTATED_CONTEXT: Final = 4096


def read(model: Any, tokenizer: Any, *, digest: str) -> BaseFacts:
    """Return the facts of a model; ``digest`` is that of its tensors as stored.

    Raises:
        InvalidError: code ``unsupported_base_model``: no linear modules, or no end token.
    """
    modules = linear_modules(model)
    if not modules or tokenizer.eos_token_id is None:
        raise InvalidError(
            "the model has no linear modules to adapt, or its tokenizer no end token", code="unsupported_base_model"
        )
    tensors = unique_tensors(model).values()
    return BaseFacts(
        family=family_of(model),
        architecture=type(model).__name__,
        modules=modules,
        blocks={name: block_of(name) for name in modules},
        default_targets=_default_targets(modules),
        context_tokens=_context_tokens(model, tokenizer),
        vocabulary=model.get_input_embeddings().weight.shape[0],
        parameters=sum(tensor.numel() for tensor in tensors),
        size_bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
        digest=digest,
        tokenizer_sha256=sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest(),
        end_token=tokenizer.eos_token,
        end_token_id=tokenizer.eos_token_id,
        chat_template=_chat_template(tokenizer),
    )


def family_of(model: Any) -> Family:
    """Say whether the model encodes a source and decodes a target, or continues one text."""
    return "seq2seq" if model.config.is_encoder_decoder else "causal"


def linear_modules(model: Any) -> dict[str, tuple[int, int]]:
    """Return the shapes ``(out, in)`` of every linear module in order of definition.

    The output head is left out, and so is what shares its weight with another module: neither can change alone.
    """
    head, shared = model.get_output_embeddings(), tied(model)
    return {
        name: _shape(module)
        for name, module in model.named_modules()
        if is_linear(module) and module is not head and name not in shared
    }


def block_of(module: str) -> str:
    """Return the transformer block of a module: its name up to the first number, or else its parent's name."""
    parts = module.split(".")
    for index, part in enumerate(parts):
        if part.isdigit():
            return ".".join(parts[: index + 1])
    return ".".join(parts[:-1])


def _shape(linear: nn.Linear) -> tuple[int, int]:
    outputs, inputs = outputs_first(linear, linear.weight).shape
    return outputs, inputs


def _default_targets(modules: dict[str, tuple[int, int]]) -> tuple[str, ...]:
    suffixes = {name.rsplit(".", 1)[-1] for name in modules}
    for pair in _TARGETS:
        if suffixes.issuperset(pair):
            return pair
    fused = tuple(target for target in _FUSED_TARGETS if target in suffixes)
    return fused or tuple(sorted(suffixes))


def _context_tokens(model: Any, tokenizer: Any) -> int:
    stated = [
        getattr(model.config, "max_position_embeddings", None),
        getattr(model.config, "n_positions", None),
        tokenizer.model_max_length,
    ]
    limits = [limit for limit in stated if isinstance(limit, int) and 0 < limit < 10**9]
    return min(limits, default=_UNSTATED_CONTEXT)


def _chat_template(tokenizer: Any) -> str | None:
    template = tokenizer.chat_template
    if isinstance(template, dict):
        return template.get("default")
    return template if isinstance(template, str) else None

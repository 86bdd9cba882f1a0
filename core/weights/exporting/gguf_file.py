"""`gguf`: a model of the Llama family as one file that llama.cpp runs, and that transformers opens again.

Keys and names are those of the format (github.com/ggml-org/ggml/blob/master/docs/gguf.md). Its rotary embedding turns
neighbouring pairs of a head's rows, where transformers turns a row of the head's first half with one of the second: so
the rows of query and key projections are put in that order. Vectors are always floats of 32 bits.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from core.domain.errors import InvalidError
from core.domain.export_spec import ExportSpec
from core.domain.exports import ExportDtype
from core.weights.exporting import gguf_tokens
from core.weights.exporting.version import LoadedVersion, Opened

FILE: Final = "model.gguf"
_OF_THE_MODEL: Final = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_OF_A_LAYER: Final = {
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}
_LAYER: Final = "model.layers."


class Gguf:
    """How a `gguf` export is written and opened."""

    def write(self, version: LoadedVersion, out: Path) -> None:
        """Write configuration, vocabulary and weights."""
        import gguf

        model, config = version.base.model, version.base.model.config
        _require_plain(config)
        out.mkdir(parents=True)
        file = gguf.GGUFWriter(out / FILE, "llama")
        half = version.spec.dtype is ExportDtype.F16
        file.add_name(version.spec.card.version)
        file.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if half else gguf.LlamaFileType.ALL_F32)
        if version.spec.card.base_licence:
            file.add_license(version.spec.card.base_licence)
        _describe(file, config)
        gguf_tokens.describe(file, version.base.tokenizer, n_tokens=config.vocab_size)
        for name, tensor in _named(model, config):
            file.add_tensor(name, _numbers(tensor, half=half))
        file.write_header_to_file()
        file.write_kv_data_to_file()
        file.write_tensors_to_file()
        file.close()

    def reopen(self, spec: ExportSpec, out: Path) -> Opened:
        """Open the file as transformers opens those of others."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        del spec
        options: dict[str, Any] = {"gguf_file": FILE, "local_files_only": True}
        return Opened(
            model=AutoModelForCausalLM.from_pretrained(str(out), dtype=torch.float32, **options),
            tokenizer=AutoTokenizer.from_pretrained(str(out), **options),
            digest=None,
            by=("gguf", "torch", "transformers"),
        )


def _require_plain(config: Any) -> None:
    """Refuse what the format's `llama` does not say, or what nobody would read again as it was."""
    rope = getattr(config, "rope_parameters", None) or {}
    kind = rope.get("rope_type", "default")
    if kind != "default":
        raise _refusal(f"its rotary embedding is scaled ({kind})")
    if getattr(config, "attention_bias", False) or getattr(config, "mlp_bias", False):
        raise _refusal("its linear layers have biases")
    if config.hidden_act != "silu":
        raise _refusal(f"its activation is {config.hidden_act}")


def _describe(file: Any, config: Any) -> None:
    head = config.head_dim or config.hidden_size // config.num_attention_heads
    file.add_context_length(config.max_position_embeddings)
    file.add_embedding_length(config.hidden_size)
    file.add_block_count(config.num_hidden_layers)
    file.add_feed_forward_length(config.intermediate_size)
    file.add_head_count(config.num_attention_heads)
    file.add_head_count_kv(config.num_key_value_heads)
    file.add_key_length(head)
    file.add_value_length(head)
    file.add_rope_dimension_count(head)
    file.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    file.add_layer_norm_rms_eps(config.rms_norm_eps)
    file.add_vocab_size(config.vocab_size)


def _named(model: Any, config: Any) -> list[tuple[str, Tensor]]:
    """Return the model's tensors under the format's names; a head that is tied to the embeddings is not written."""
    heads = {"attn_q.weight": config.num_attention_heads, "attn_k.weight": config.num_key_value_heads}
    named = []
    for own, tensor in model.state_dict().items():
        if own == "lm_head.weight" and config.tie_word_embeddings:
            continue
        name = _OF_THE_MODEL.get(own) or _of_layer(own)
        kind = name.partition(".")[2].partition(".")[2]
        named.append((name, _paired(tensor, heads[kind]) if kind in heads else tensor))
    return named


def _of_layer(own: str) -> str:
    number, _, rest = own.removeprefix(_LAYER).partition(".")
    if not own.startswith(_LAYER) or rest not in _OF_A_LAYER:
        raise _refusal(f"the format has no place for its tensor {own!r}")
    return f"blk.{number}.{_OF_A_LAYER[rest]}"


def _paired(weight_OI: Tensor, heads: int) -> Tensor:
    """Return a projection whose rows ``i`` and ``i + half`` of each head have become neighbours."""
    outputs, inputs = weight_OI.shape
    halves = weight_OI.reshape(heads, 2, outputs // heads // 2, inputs)
    return halves.transpose(1, 2).reshape(outputs, inputs)


def _numbers(tensor: Tensor, *, half: bool) -> np.ndarray[Any, Any]:
    to = torch.float16 if half and tensor.dim() > 1 else torch.float32
    numbers = tensor.detach().to(to)
    if not bool(torch.isfinite(numbers).all()):
        raise _refusal("a weight is too large for 16 bits; ask for f32")
    return numbers.contiguous().numpy()


def _refusal(why: str) -> InvalidError:
    return InvalidError(f"the model cannot be written as gguf: {why}; export it as merged", code="unsupported_export")

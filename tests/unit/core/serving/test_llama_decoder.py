"""Our own steps say what transformers says; what we do not know in every part is left to transformers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from core.serving import clone
from core.serving.llama.architecture import shape_of
from core.serving.llama.base import LlamaBase
from core.serving.llama.forward import LlamaDecoder, Part
from core.serving.llama.packing import packed
from core.serving.loading import VersionLoader
from tests.tiny_models import tiny_llama
from tests.tiny_versions import Shelf

VOCABULARY = 101
KINDS: dict[str, dict[str, Any]] = {
    "grouped queries, tied head": {},
    "a head of its own": {"tie_word_embeddings": False},
    "biases in attention": {"attention_bias": True},
    "biases everywhere": {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False},
    "as many keys as queries": {"num_key_value_heads": 4},
    "one head of keys": {"num_key_value_heads": 1},
    "heads wider than the network": {"head_dim": 16},
    "linear rotation": {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}},
    "Llama 3's rotation": {
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        }
    },
}
UNKNOWN: dict[str, dict[str, Any]] = {
    "another activation": {"hidden_act": "gelu"},
    "a rotation that depends on the length": {
        "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    },
}


def network(seed: int = 0, **settings: Any) -> Any:
    torch.manual_seed(seed)
    config = LlamaConfig(
        **{
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 256,
            "initializer_range": 0.4,
            **settings,
        }
    )
    model = LlamaForCausalLM(config).eval()
    for name, parameter in model.named_parameters():
        if name.endswith(("bias", "norm.weight")):
            torch.nn.init.normal_(parameter, mean=1.0, std=0.3)
    return model.requires_grad_(requires_grad=False)


def text(seed: int, tokens: int) -> list[int]:
    return torch.randint(VOCABULARY, (tokens,), generator=torch.Generator().manual_seed(seed)).tolist()


@torch.inference_mode()
def by_transformers(model: Any, tokens: list[int]) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]
    return logits


@torch.inference_mode()
def by_steps(decoder: LlamaDecoder, texts: list[list[int]], chunks: list[int]) -> list[torch.Tensor]:
    """Return the logits behind every token that was the last of a chunk, of all texts read side by side."""
    slots = [decoder.room.take(len(each)) for each in texts]
    assert None not in slots
    found: list[list[torch.Tensor]] = [[] for _ in texts]
    read = 0
    for chunk in chunks:
        parts, behind = [], []
        for place, (slot, tokens) in enumerate(zip(slots, texts, strict=True)):
            piece = tokens[read : read + chunk]
            if slot is not None and piece:
                parts.append(Part(slot, read, piece, wants_next=True))
                behind.append(place)
        for place, logits in zip(behind, decoder.step(parts), strict=True):
            found[place].append(logits)
        read += chunk
    for slot in slots:
        if slot is not None:
            decoder.room.rest(slot, "v", ())
    return [torch.stack(each) for each in found]


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_transformers(kind: str) -> None:
    model = network(**KINDS[kind])
    texts = [text(seed, tokens) for seed, tokens in enumerate((41, 7, 30, 41, 19))]
    expected = [by_transformers(model, each) for each in texts]
    base = LlamaBase.of(model, cache_bytes=2**20)
    assert base is not None
    decoder = base.decoder(model)
    for chunks in ([41], [1] * 41, [5, 1, 1, 20, 1, 13]):
        ends = torch.tensor(chunks).cumsum(0) - 1
        for company in (texts, texts[:1], texts[:2]):
            for logits, theirs in zip(by_steps(decoder, company, chunks), expected, strict=False):
                last = ends.clamp(max=len(theirs) - 1).unique()
                assert (logits - theirs[last]).abs().max() < 1e-4


def test_prompts_are_judged_beside_answers_under_way() -> None:
    model = network(attention_bias=True)
    base = LlamaBase.of(model, cache_bytes=2**20)
    assert base is not None
    used, prompts = base.room.used_tokens(), [text(seed, tokens) for seed, tokens in enumerate((8, 1, 13))]
    expected = torch.stack([by_transformers(model, each)[-1] for each in prompts])
    assert (base.next_logits(model, prompts) - expected).abs().max() < 1e-4
    assert (base.next_logits(model, prompts[1:2]) - expected[1:2]).abs().max() < 1e-4
    assert base.room.used_tokens() == used


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_computed_as_precisely_as_they_can_be(dtype: torch.dtype) -> None:
    exact = network()
    tokens = text(0, 40)
    truth = by_transformers(exact, tokens)
    model = network().to(dtype)
    theirs = (by_transformers(model, tokens).float() - truth).abs().mean()
    base = LlamaBase.of(model, cache_bytes=2**20)
    assert base is not None
    (ours,) = by_steps(base.decoder(model), [tokens], [1] * 40)
    assert (ours.float() - truth).abs().mean() < 1.2 * theirs


@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_is_not_known_in_every_part_is_not_decoded_here(kind: str) -> None:
    assert shape_of(network(**UNKNOWN[kind])) is None


def test_a_network_that_is_only_like_a_known_one_is_not_decoded_here() -> None:
    torch.manual_seed(0)
    settings = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    mistral = MistralForCausalLM(MistralConfig(**settings, num_key_value_heads=2, num_hidden_layers=1))
    assert shape_of(mistral) is None

    class Widened(LlamaForCausalLM):
        pass

    assert shape_of(Widened(network().config)) is None
    mixed = network()
    mixed.lm_head.double()
    assert shape_of(mixed) is None
    hooked = network()
    hooked.model.layers[0].register_forward_hook(lambda *_: None)
    assert shape_of(hooked) is None


def test_a_network_that_computes_otherwise_than_it_looks_is_left_to_transformers() -> None:
    model = network()
    model.model.layers[1].self_attn.scaling = 0.5
    assert shape_of(model) is not None
    assert LlamaBase.of(model, cache_bytes=2**20) is None


def test_packing_changes_no_value_and_takes_no_memory() -> None:
    model = network(attention_bias=True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    size = clone.storage_bytes([model])
    assert LlamaBase.of(model, cache_bytes=2**20) is not None
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert clone.storage_bytes([model]) == size


@pytest.mark.parametrize(
    "changed", [("q_proj", "v_proj"), ("k_proj",), ("gate_proj", "q_proj", "down_proj"), ("up_proj", "gate_proj")]
)
def test_a_version_shares_what_it_does_not_change_whatever_that_is(changed: tuple[str, ...]) -> None:
    model = network()
    base = LlamaBase.of(model, cache_bytes=2**20)
    assert base is not None
    torch.manual_seed(1)
    own = {
        name: parameter + 0.1 * torch.randn_like(parameter)
        for name, parameter in model.named_parameters()
        if name.split(".")[-2] in changed
    }
    twin = clone.with_weights(model, packed(own))
    assert clone.storage_bytes([model, twin]) == clone.storage_bytes([model]) + sum(
        tensor.numel() * tensor.element_size() for tensor in own.values()
    )
    tokens = text(3, 33)
    (logits,) = by_steps(base.decoder(twin), [tokens], [33])
    assert (logits - by_transformers(twin, tokens)[-1]).abs().max() < 1e-4
    (original,) = by_steps(base.decoder(model), [tokens], [33])
    assert (original - by_transformers(model, tokens)[-1]).abs().max() < 1e-4


def test_a_loaded_version_is_decoded_here_and_shares_its_bases_room(
    shelf: Shelf, load: Callable[[Shelf], VersionLoader]
) -> None:
    loader = load(shelf)
    original = shelf.original()
    first, second = loader.load(original), loader.load(shelf.child(original, seed=1))
    assert first.decoder is not None
    assert second.decoder is not None
    assert first.decoder.room is second.decoder.room


def test_room_for_answers_is_what_was_given(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, tiny_llama(tmp_path / "base"))
    known = LlamaBase.of(shelf.loaded.model, cache_bytes=100_000)
    assert known is not None
    # Two layers, keys and values, two heads of eight numbers, four bytes each.
    assert known.shape.token_bytes == 2 * 2 * 2 * 8 * 4
    assert known.room.tokens == 100_000 // known.shape.token_bytes

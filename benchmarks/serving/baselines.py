"""What others make of the same prompts: transformers in three ways, and llama.cpp where it is."""

import importlib.util
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig

from core.weights.base import LoadedBase
from core.weights.tokens import encode_prompt

_MEMORY_SHARE: Final = 0.1


@torch.inference_mode()
def generate(loaded: LoadedBase, prompts: Sequence[str], *, max_tokens: int) -> tuple[float, int]:
    """Return the seconds that one call of `generate` took for all prompts, and the tokens that it wrote.

    Prompts are padded on the left, as transformers documents it; what follows an end token is not counted.
    """
    rows = [encode_prompt(loaded.tokenizer, prompt, loaded.facts.family) for prompt in prompts]
    width = max(map(len, rows))
    end = loaded.tokenizer.eos_token_id
    tokens = torch.tensor([[end] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    began = time.perf_counter()
    written = loaded.model.generate(
        input_ids=tokens, attention_mask=mask, do_sample=False, max_new_tokens=max_tokens, pad_token_id=end
    )[:, width:]
    seconds = time.perf_counter() - began
    counts = [row.index(end) if end in row else len(row) for row in written.tolist()]
    return seconds, sum(counts)


def continuous(loaded: LoadedBase, prompts: Sequence[str], *, max_tokens: int) -> tuple[float, int]:
    """Return the seconds that transformers' own continuous batching took for all prompts, and the tokens that it wrote.

    Its caches and threads are made anew by every call, as `generate_batch` is documented: a part of what it takes.
    """
    rows = [encode_prompt(loaded.tokenizer, prompt, loaded.facts.family) for prompt in prompts]
    end = loaded.tokenizer.eos_token_id
    how = GenerationConfig(max_new_tokens=max_tokens, do_sample=False, eos_token_id=end, pad_token_id=end)
    room = ContinuousBatchingConfig(max_memory_percent=_MEMORY_SHARE)
    began = time.perf_counter()
    answers = loaded.model.generate_batch(
        inputs=rows, generation_config=how, continuous_batching_config=room, warmup=False
    )
    seconds = time.perf_counter() - began
    return seconds, sum(len([token for token in each.generated_tokens if token != end]) for each in answers.values())


def llama_cpp(gguf: Path | None, prompts: Sequence[str], *, max_tokens: int, threads: int) -> dict[str, Any] | None:
    """Return what llama-cpp-python does with a GGUF file, one by one; None where either is missing."""
    if gguf is None or importlib.util.find_spec("llama_cpp") is None:
        return None
    library = importlib.import_module("llama_cpp")
    model = library.Llama(str(gguf), n_threads=threads, verbose=False)
    began = time.perf_counter()
    written = sum(
        model(prompt, max_tokens=max_tokens, temperature=0.0)["usage"]["completion_tokens"] for prompt in prompts
    )
    return {"file": gguf.name, "tokens_per_second": round(written / (time.perf_counter() - began), 1)}

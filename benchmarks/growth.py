"""Whether a model that has learned many tasks costs more to teach than a new one.

    python -m benchmarks.growth [--json] [--tasks 30] [--rounds 60]

A tiny Llama learns toy tasks, one after another, in memory. After the first task and after the last one a learner of
the next is set up: their steps are timed in turn, and the bytes counted that each holds from earlier tasks, which is
what the penalties keep in memory. The chain on disk is the model's history and grows by one sparse delta a task.
"""

import argparse
import copy
import json
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from accelerate import Accelerator
from rich.console import Console
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks import figures
from core.learning.learner import Learner, adamw
from core.learning.lineage import Lineage
from core.learning.loss import IGNORED, Batch
from core.learning.memories.port import Past
from core.learning.method import Method, assemble
from core.learning.rows import Row

METHODS: Final = ("jumplora+ella@paper", "jumplora+ella")
_WORDS: Final = tuple(f"w{number}" for number in range(250))
_WARM_UP: Final = 3
_SPECIAL: Final = {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "</s>"}
_FOREVER: Final = 10**9
_HALF_CLOSED: Final = {"first_interpolation": 0.0, "final_interpolation": 1.0}
_SPEC: Final = {"training": {"max_steps": 5, "batch_size": 4, "max_source_tokens": 32, "max_target_tokens": 4}}


def lineage(method: str) -> Lineage:
    """Return a new lineage of a tiny Llama."""
    vocabulary = {word: number for number, word in enumerate((*dict.fromkeys(_SPECIAL.values()), *_WORDS))}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))  # noqa: S106 - a token of text
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=256, **_SPECIAL)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        eos_token_id=1,
        pad_token_id=1,
    )
    network = LlamaForCausalLM(config).requires_grad_(requires_grad=False)
    return Lineage(network, tokenizer, method=method)


def toy_task(number: int) -> list[Row]:
    """Return 16 rows: which word of this task follows which."""
    drawn = random.Random(number)  # noqa: S311 - toy data
    return [Row(" ".join(drawn.choices(_WORDS, k=24)), f" {drawn.choice(_WORDS)}") for _ in range(16)]


def stepping(learned: Lineage) -> tuple[Learner, int]:
    """Return a learner of the next task, held at f = 1/2, and the bytes it holds from earlier tasks."""
    recipe = learned.recipe({"adapter": _HALF_CLOSED})
    method, accelerator = assemble(recipe), Accelerator()
    torch.manual_seed(1)
    model = method.adapter.attach(copy.deepcopy(learned.network)).train()
    modules = set(method.adapter.layers())
    method.recall(Past(chain=learned.chain, states=learned.states, modules=modules, device=accelerator.device))
    method.adapter.restore({"interpolation": 0.5})
    learner = Learner(
        model=model,
        adapter=method.adapter,
        objectives=method.objectives,
        optimizer=accelerator.prepare(adamw(model, recipe.training)),
        accelerator=accelerator,
        family="causal",
        max_grad_norm=1.0,
        total_steps=_FOREVER,
        has_past=bool(learned.chain),
        step=_FOREVER // 2,
    )
    return learner, _bytes_held(method)


def measure(method: str, *, tasks: int, rounds: int) -> dict[str, Any]:
    """Return what a step and the state cost after the first task and after the last."""
    model = lineage(method)
    learners, held = {}, {}
    for number in range(1, tasks + 1):
        model.learn(toy_task(number), spec=_SPEC)
        if number in {1, tasks}:
            learners[number], held[number] = stepping(model)
    batch = _batch()
    seconds: dict[int, list[float]] = {number: [] for number in learners}
    for number, learner in list(learners.items()) * (rounds + _WARM_UP):
        started = time.perf_counter()
        learner.learn([batch])
        seconds[number].append(time.perf_counter() - started)
    first, last = (times[_WARM_UP:] for times in seconds.values())
    return {
        "method": method,
        "after_tasks": list(learners),
        "state_bytes": list(held.values()),
        "seconds": [round(statistics.median(times), 6) for times in (first, last)],
        "time_ratio": round(figures.ratio(last, first), 4),
        "time_ratio_interval": figures.ratio_interval(last, first),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print JSON or lines."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--tasks", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=60)
    given = parser.parse_args(arguments)
    rows = [measure(method, tasks=given.tasks, rounds=given.rounds) for method in given.methods]
    if given.json:
        print(json.dumps({"rows": rows, **figures.circumstances()}, indent=1))
    else:
        Console().print(*rows, sep="\n")


def _bytes_held(method: Method) -> int:
    """Count the tensors that the memories hold for the steps."""
    memories = [memory for memory in method.memories.values() if isinstance(memory, Mapping)]
    return sum(_bytes_of(value) for memory in memories for value in memory.values())


def _bytes_of(value: Any) -> int:
    tensor = value if isinstance(value, torch.Tensor) else value.factor_KI
    return tensor.numel() * tensor.element_size()


def _batch() -> Batch:
    generator = torch.Generator().manual_seed(2)
    ids_BT = torch.randint(2, 250, (8, 64), generator=generator)
    labels_BT = ids_BT.clone()
    labels_BT[:, :-8] = IGNORED
    return Batch(ids_BT, torch.ones_like(ids_BT), labels_BT)


if __name__ == "__main__":
    main()

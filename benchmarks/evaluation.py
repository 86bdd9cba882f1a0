"""What it costs to evaluate a model of many tasks as the service does, against generating every answer anew.

    python -m benchmarks.evaluation --data DIR --order long_4 --rows 12 --rounds 3 --json

DIR is laid out as for `benchmarks.continual`. One side scores the order's held-out rows by `Scorer.right`, on merged
weights; the other generates an answer to every row with the adapter beside the weights (PEFT), rows in the file's order.
Both take the same rows, limits and batch size, in turns within one process. The adapter is random: what it says matters
little to how long it takes, and how often both sides agree on a row is told.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, get_peft_model

from benchmarks.continual.data import Collection, Portion, Task, first_tokens
from benchmarks.figures import circumstances, ratio, ratio_interval
from benchmarks.step_cost_models import smollm2_folder
from core.learning.answer_metrics import normalised
from core.learning.recipe import Evaluation
from core.learning.rows import Row, padded
from core.learning.scoring import Scorer, pad_token
from core.learning.training import Training
from core.weights import base
from core.weights.base import LoadedBase
from core.weights.tokens import encode_prompt, encode_target

SOURCE_TOKENS: Final = Training().max_source_tokens
TARGET_TOKENS: Final = Training().max_target_tokens
BATCH_ROWS: Final = Evaluation().batch_size
_SPREAD: Final = 0.02


def adapted(network: Any) -> Any:
    """Return the network with a random low-rank adapter beside its query and value projections."""
    torch.manual_seed(0)
    model = get_peft_model(network, LoraConfig(r=8, target_modules=["q_proj", "v_proj"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=_SPREAD)
    return model.eval()


def scored(loaded: LoadedBase, merged: Any, tasks: Sequence[Task]) -> list[bool]:
    """Return which rows are right, as a job finds out."""
    scorer = Scorer(
        model=merged,
        tokenizer=loaded.tokenizer,
        family=loaded.facts.family,
        max_source_tokens=SOURCE_TOKENS,
        max_target_tokens=TARGET_TOKENS,
        batch_size=BATCH_ROWS,
        pulse=lambda: None,
    )
    return [right for task in tasks for right in scorer.right(task.held_out)]


def generated(loaded: LoadedBase, unmerged: Any, tasks: Sequence[Task]) -> list[bool]:
    """Return the same by generating: each task's rows as they come, as many at once."""
    found = []
    for task in tasks:
        for first in range(0, len(task.held_out), BATCH_ROWS):
            rows = task.held_out[first : first + BATCH_ROWS]
            answers = _answers(loaded.tokenizer, unmerged, rows)
            found += [normalised(answer) == normalised(row.target) for answer, row in zip(answers, rows, strict=True)]
    return found


def _answers(tokenizer: Any, model: Any, rows: Sequence[Row]) -> list[str]:
    prompts = [encode_prompt(tokenizer, row.prompt, "causal", max_tokens=SOURCE_TOKENS, cut=row.cut) for row in rows]
    targets = [encode_target(tokenizer, row.target, max_tokens=TARGET_TOKENS) for row in rows]
    input_ids = padded(prompts, value=pad_token(tokenizer), left=True)
    with torch.inference_mode():
        output = model.generate(
            input_ids=input_ids,
            attention_mask=padded([[1] * len(prompt) for prompt in prompts], value=0, left=True),
            max_new_tokens=max(map(len, targets)) + 1,
            do_sample=False,
            pad_token_id=pad_token(tokenizer),
        )
    return list(tokenizer.batch_decode(output[:, input_ids.shape[1] :], skip_special_tokens=True))


def measure(loaded: LoadedBase, tasks: Sequence[Task], *, rounds: int) -> dict[str, Any]:
    """Return seconds of both sides, round by round, and their ratio."""
    unmerged = adapted(loaded.model)
    merged = copy.deepcopy(unmerged).merge_and_unload().eval()
    sides: dict[str, Callable[[], list[bool]]] = {
        "scored": lambda: scored(loaded, merged, tasks),
        "generated": lambda: generated(loaded, unmerged, tasks),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    right: dict[str, list[bool]] = {}
    for _ in range(rounds):
        for name, side in sides.items():
            began = time.perf_counter()
            right[name] = side()
            seconds[name].append(round(time.perf_counter() - began, 3))
    agree = sum(one == other for one, other in zip(right["scored"], right["generated"], strict=True))
    return {
        "tasks": len(tasks),
        "rows": len(right["scored"]),
        "agree_on": agree,
        "seconds": seconds,
        "ratio": round(ratio(seconds["scored"], seconds["generated"]), 4),
        "ratio_95": ratio_interval(seconds["scored"], seconds["generated"]),
        **circumstances(),
    }


def main() -> None:
    """Measure, and print a line or JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--order", default="long_4")
    arguments.add_argument("--rows", type=int, default=12)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--text-tokens", type=int, default=SOURCE_TOKENS, help="Longer texts are cut.")
    arguments.add_argument("--json", action="store_true")
    asked = arguments.parse_args()
    loaded = base.load(smollm2_folder())
    collection = Collection.open(asked.data)
    portion = Portion(train_rows=1, eval_rows=asked.rows, split="dev", seed=0)
    cut = first_tokens(loaded.tokenizer, asked.text_tokens)
    tasks = [collection.task(name, portion, cut) for name in collection.names(asked.order)]
    found = {"order": asked.order, "text_tokens": asked.text_tokens} | measure(loaded, tasks, rounds=asked.rounds)
    if asked.json:
        print(json.dumps(found, indent=1))
        return
    low, high = found["ratio_95"]
    print(f"{found['tasks']} tasks, {found['rows']} rows: {found['ratio']:.3f} ({low:.3f} to {high:.3f}) of generating")


if __name__ == "__main__":
    main()

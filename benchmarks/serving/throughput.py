"""Tokens per second, ours and of `generate`, round by round: a slow moment of the machine is slow for all."""

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.figures import ratio_interval
from benchmarks.serving import baselines
from benchmarks.serving.load import ask_all, spread
from benchmarks.serving.prompts import PROMPTS
from core.serving.engine import Engine
from core.weights.base import LoadedBase

# `generate` takes one prompt after another: so many of them say how fast it is.
_ONE_BY_ONE = 2


def rows(
    engine: Engine, model: str, loaded: LoadedBase, *, concurrency: Sequence[int], rounds: int, max_tokens: int
) -> list[dict[str, Any]]:
    """Return a row a concurrency; the answers of a round are asked for at the same moment."""
    ask_all(engine, model, PROMPTS[:1], max_tokens=2)
    baselines.generate(loaded, PROMPTS[:1], max_tokens=2)
    return [_row(engine, model, loaded, many=many, rounds=rounds, max_tokens=max_tokens) for many in concurrency]


def _row(engine: Engine, model: str, loaded: LoadedBase, *, many: int, rounds: int, max_tokens: int) -> dict[str, Any]:
    ours, static, continuous, sequential, answers = [], [], [], [], []
    for number in range(rounds):
        # Other prompts every round: none of ours is answered from what it read before.
        prompts = [PROMPTS[(number * many + place) % len(PROMPTS)] for place in range(many)]
        seconds, given = ask_all(engine, model, [f"({number}) {prompt}" for prompt in prompts], max_tokens=max_tokens)
        ours.append(sum(answer.tokens for answer in given) / seconds)
        answers += given
        seconds, tokens = baselines.generate(loaded, prompts, max_tokens=max_tokens)
        static.append(tokens / seconds)
        seconds, tokens = baselines.continuous(loaded, prompts, max_tokens=max_tokens)
        continuous.append(tokens / seconds)
        singles = [baselines.generate(loaded, [prompt], max_tokens=max_tokens) for prompt in prompts[:_ONE_BY_ONE]]
        sequential.append(sum(tokens for _, tokens in singles) / sum(seconds for seconds, _ in singles))
    return {
        "concurrency": many,
        "tokens_per_second": round(statistics.median(ours), 1),
        "static_tokens_per_second": round(statistics.median(static), 1),
        "continuous_tokens_per_second": round(statistics.median(continuous), 1),
        "sequential_tokens_per_second": round(statistics.median(sequential), 1),
        **spread("ttft", [answer.first_token_seconds for answer in answers]),
        **spread("token_seconds", [answer.token_seconds for answer in answers]),
        "ratio_sequential": round(statistics.median(ours) / statistics.median(sequential), 2),
        "ratio_static": round(statistics.median(ours) / statistics.median(static), 2),
        "ratio_continuous": round(statistics.median(ours) / statistics.median(continuous), 2),
        "ratio_sequential_interval": ratio_interval(ours, sequential),
        "ratio_static_interval": ratio_interval(ours, static),
    }

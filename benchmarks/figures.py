"""What stands beside every benchmark's figures: where they were taken, and how far they can be trusted."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

MEDIAN: Final = 0.5
# Whatever else a machine does only ever adds to a time: the quarter that was disturbed least tells what the work costs.
UNDISTURBED: Final = 0.25
_RESAMPLES: Final = 2000
_ROOT: Final = Path(__file__).parents[1]


def circumstances() -> dict[str, Any]:
    """Return the device, its threads, the version of torch and the revision of this repository."""
    cuda = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "processor": "" if cuda else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "revision": _git("rev-parse", "--short=12", "HEAD"),
        "changed_since_revision": bool(
            _git("status", "--porcelain", "--untracked-files=no", "core", "benchmarks/*.py")
        ),
    }


def ratio(values: Sequence[float], baseline: Sequence[float], *, quantile: float = MEDIAN) -> float:
    """Return how two interleaved series compare: a quantile of the one over the same quantile of the other."""
    return float(np.quantile(values, quantile) / np.quantile(baseline, quantile))


def ratio_interval(
    values: Sequence[float], baseline: Sequence[float], *, quantile: float = MEDIAN, rounds: int | None = None
) -> list[float]:
    """Return the 95 % bootstrap interval of `ratio`; rounds are drawn as a whole, so that a slow one is slow for both.

    Args:
        values: as many in each round, round after round.
        baseline: likewise, if with another number a round.
        quantile: the one that is compared.
        rounds: how many there were; one for each value unless it is said.
    """
    rounds = rounds or len(values)
    draws = np.random.default_rng(0).integers(0, rounds, (_RESAMPLES, rounds))
    over, under = (
        np.quantile(np.asarray(series).reshape(rounds, -1)[draws].reshape(_RESAMPLES, -1), quantile, axis=1)
        for series in (values, baseline)
    )
    low, high = np.quantile(over / under, [0.025, 0.975])
    return [round(float(low), 4), round(float(high), 4)]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout.strip()

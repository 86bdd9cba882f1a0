"""What stands beside every benchmark's figures: where they were taken, and how far they can be trusted."""

import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

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


def ratio(values: Sequence[float], baseline: Sequence[float]) -> float:
    """Return how the medians of two interleaved series compare."""
    return statistics.median(values) / statistics.median(baseline)


def ratio_interval(values: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """Return the 95 % bootstrap interval of `ratio`; rounds are drawn as a whole, so that a slow one is slow for both."""
    draws = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    ratios = np.median(np.asarray(values)[draws], axis=1) / np.median(np.asarray(baseline)[draws], axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return [round(float(low), 4), round(float(high), 4)]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout.strip()

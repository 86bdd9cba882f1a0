"""Where the figures were taken, and what ran there besides."""

import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from core.settings import usable_cpus

_ROOT: Final = Path(__file__).parents[2]
_MEASURED: Final = ("api", "core", "worker", "benchmarks/service")
# More than this load before anything was started means that others were at work.
_IDLE_LOAD: Final = 0.5


def facts() -> dict[str, Any]:
    """Return the machine, its load so far, the versions and the revision of this repository."""
    load = os.getloadavg()[0]
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cpus": usable_cpus(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(aliased=True, terse=True),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "load_before": round(load, 2),
        "idle": load < _IDLE_LOAD,
        "revision": _git("rev-parse", "--short=12", "HEAD"),
        "changed_since_revision": bool(_git("status", "--porcelain", "--untracked-files=no", *_MEASURED)),
    }


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout.strip()

"""Whether a run gives what a committed report of the same run says.

    python -m benchmarks.continual agree --with COMMITTED.json RUN

Training is not the same to the last bit on every machine, so a figure agrees where it lies within the committed
report's own 90 % interval; what was run must be the same word for word.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.continual.compare import Report, read

# What was run; versions, machine and seconds may differ.
_SAME: Final = ("order", "method", "base", "settings", "tasks")
_WITHIN: Final = ("oa", "bwt")


def main(arguments: Sequence[str]) -> None:
    """Print each figure beside the committed interval; exit with 1 where one lies outside."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.continual agree", description=__doc__)
    parser.add_argument("--with", dest="committed", type=Path, required=True, help="the report to agree with")
    parser.add_argument("run", type=Path, help="folder of the run, or its report.json")
    given = parser.parse_args(arguments)
    found, committed = read(given.run), read(given.committed)
    differing = [name for name in _SAME if found[name] != committed[name]]
    if differing:
        raise SystemExit(f"the two are not the same run: {', '.join(differing)} differ")
    outside = []
    for name in _WITHIN:
        line, agrees = _compared(name, found, committed)
        sys.stdout.write(line)
        outside += [] if agrees else [name]
    if outside:
        raise SystemExit(f"outside of the committed interval: {', '.join(outside)}")


def _compared(name: str, found: Report, committed: Report) -> tuple[str, bool]:
    low, high = committed[f"{name}_interval"]
    agrees = low <= found[name] <= high
    return f"{name} {found[name]:.3f}, committed {committed[name]:.3f} [{low:.3f}, {high:.3f}]\n", agrees

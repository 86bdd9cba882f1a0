"""`make chaos`: the whole service under fire, on both of its engines, and a mutant that must be caught.

    python -m tests.chaos --seconds 45 [--seed N] [--engine sqlite|postgresql|mutant]

One JSON line an engine on standard output; how it goes on standard error. The exit code is 1 when anything was lost,
doubled, torn, broken or repaired, when the mutant got away, or when there was too little fire to prove anything.
"""

import argparse
import json
import random
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos import run
from tests.chaos.kit import Kit
from tests.chaos.scene import say
from tests.compose_stack import ROOT

ENGINES = ("sqlite", "postgresql", "mutant")
FOUND = ("lost", "duplicate_versions", "torn_versions", "invariant_breaks", "manual_repairs")
# What a whole run must at least have seen; a shorter one must have seen something of each.
WHOLE_SECONDS = 300
WHOLE = {"faults": 300, "acknowledged": 100, "succeeded": 50, "interrupted": 50}


def main(arguments: Sequence[str]) -> int:
    """Run the engines one after another; return the exit code."""
    parser = argparse.ArgumentParser(prog="make chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=WHOLE_SECONDS, help="of fire, for each engine")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--engine", choices=ENGINES, action="append", help="only this one; may be repeated")
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "chaos", help="kept for who wants to look")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    say(f"seed {given.seed}")
    folder = given.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    kit = Kit(folder / "kit")
    kit.make()
    failed = []
    for engine in given.engine or ENGINES:
        if engine == "mutant":
            line = run.mutate(root=folder / engine, kit=kit)
        else:
            line = run.fire(engine, seconds=given.seconds, seed=given.seed, root=folder / engine, kit=kit)
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        if not holds(line):
            failed.append(engine)
    if failed:
        say(f"FAILED: {', '.join(failed)}; again with --seed {given.seed}")
    return 1 if failed else 0


def holds(line: dict[str, Any]) -> bool:
    """Return whether an engine's line says that all is well, and that there was enough to be said."""
    if "caught" in line:
        return bool(line["caught"])
    whole = line["seconds"] >= WHOLE_SECONDS
    enough = all(line[name] >= (least if whole else 1) for name, least in WHOLE.items())
    return enough and not any(line[name] for name in FOUND)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

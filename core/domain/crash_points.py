"""Moments at which a process may be made to die: before and after whatever must be whole or absent.

Off unless the environment names a folder of fuses. There, a file named like a point takes the next process that passes
it: by SIGKILL, or by SIGSTOP where the file says ``stop``. A fuse burns once, whoever passes first; with ``3`` in it, two
may pass before. `make chaos` and the tests of crashes place the fuses; see docs/explanation/what-survives.md.
"""

import os
import signal
from pathlib import Path
from typing import Final

VARIABLE: Final = "STRATA_CRASH_FUSES"
POINTS: Final = frozenset(
    {
        "claim.after",
        "claim.before",
        "commit.after",
        "commit.before",
        "flip.after",
        "flip.before",
        "fsync.after",
        "fsync.before",
        "publish.after",
        "publish.before",
        "removal.after",
        "removal.before",
        "rename.after",
        "rename.before",
        "spec.after",
        "spec.before",
        "store.after",
        "store.before",
        "trainer.after",
        "trainer.before",
        "wake.after",
        "wake.before",
    }
)


def crash_point(name: str) -> None:
    """Die or stop here if a fuse of this name lies in the folder that the environment names; else do nothing."""
    folder = os.environ.get(VARIABLE)
    if folder is not None:
        _burn(Path(folder) / name)


def _burn(fuse: Path) -> None:
    try:
        with fuse.open("r+", encoding="ascii") as file:
            words = file.read().split()
            passes = next((int(word) for word in words if word.isdecimal()), 1)
            if passes > 1:
                file.seek(0)
                file.truncate()
                file.write(" ".join([str(passes - 1), *(word for word in words if not word.isdecimal())]))
                return
        # Of several that read the fuse, one removes it.
        fuse.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGSTOP if "stop" in words else signal.SIGKILL)

"""Becomes another program that dies with the process which started it.

`python -m strata.embedded.launcher PARENT COMMAND …` asks the kernel to kill this process when its parent ends,
however it ends, and then turns into COMMAND. The wish survives the change of program (prctl(2), PR_SET_PDEATHSIG).
Only Linux has it; elsewhere a killed `strata up` leaves its children to be stopped by hand.
"""

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
EXIT_ORPHANED: Final = 15


def die_with_parent(parent: int) -> None:
    """Ask to be killed when ``parent`` ends; exit at once if it already has."""
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.stderr.write("this kernel cannot tie a process to its parent: stop it by hand if `strata up` is killed\n")
    if os.getppid() != parent:
        sys.exit(EXIT_ORPHANED)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - becoming another program, without a shell, is the point

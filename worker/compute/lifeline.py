"""The tie of a trainer to its worker: when the worker is gone, however it went, the trainer goes too.

Two independent ties, for no one of them covers every death: standard input is a pipe that only the worker holds, so
end of file means that the worker is gone; and Linux is asked to kill this process when its parent dies.
"""

import ctypes
import os
import signal
import stat
import sys
import threading
from typing import Final

from core.domain.job_folder import ExitCode

_PR_SET_PDEATHSIG: Final = 1
_STDIN: Final = 0


def hold() -> None:
    """Tie this process to the worker that started it. Call it first, from the main thread.

    A process whose standard input is no pipe was started by hand, and stays free.
    """
    if not stat.S_ISFIFO(os.fstat(_STDIN).st_mode):
        return
    threading.Thread(target=_watch, name="lifeline", daemon=True).start()
    if sys.platform == "linux":
        # Unsupported kernels and sandboxes answer with an error; the pipe alone is enough for them.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _watch() -> None:
    while os.read(_STDIN, 1024):
        continue
    os._exit(ExitCode.ORPHANED)

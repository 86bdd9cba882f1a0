"""A worker on a machine whose wall clock is wrong: ``python -m tests.skewed_worker SECONDS``."""

import runpy
import sys
import time
from unittest.mock import patch

real = time.time

if __name__ == "__main__":
    seconds = float(sys.argv.pop())
    with patch("time.time", lambda: real() + seconds):
        runpy.run_module("worker.control", run_name="__main__")

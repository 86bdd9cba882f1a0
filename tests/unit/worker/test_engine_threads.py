"""The engine's process lives as long as its threads."""

import subprocess
import sys

DYING = """
import threading, time
from worker.compute import engine_process
threading.excepthook = engine_process.end_process
threading.Thread(target=lambda: 1 / 0, name="decode").start()
time.sleep(60)
"""


def test_a_thread_that_dies_ends_the_process_and_says_so() -> None:
    ended = subprocess.run([sys.executable, "-c", DYING], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "engine.thread_died" in ended.stdout + ended.stderr
    assert "ZeroDivisionError" in ended.stdout + ended.stderr

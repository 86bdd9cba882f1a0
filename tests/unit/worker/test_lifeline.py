"""The lifeline: a trainer goes when its worker goes, by either of two ties, and never otherwise."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.domain.job_folder import ExitCode

CHILD = "from worker.compute import lifeline; lifeline.hold(); print('held', flush=True); import time; time.sleep(60)"
# A worker that starts a trainer whose standard input somebody else holds open too, and then just stands there.
WORKER = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdin=int(sys.argv[2]),"
    " stdout=subprocess.PIPE, start_new_session=True); child.stdout.readline(); print(child.pid, flush=True);"
    " time.sleep(60)"
)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read_end, write_end = os.pipe()
    yield read_end, write_end
    os.close(read_end)
    os.close(write_end)


@contextmanager
def running(*arguments: str, stdin: int, pass_fds: tuple[int, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", *arguments]
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, pass_fds=pass_fds)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_end_of_file_on_standard_input_ends_the_trainer() -> None:
    with running(CHILD, stdin=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()

        child.stdin.close()
        child.stdin = None

        assert child.wait(5) == ExitCode.ORPHANED


def test_the_death_of_its_worker_ends_a_trainer_whose_pipe_stays_open(pipe: tuple[int, int]) -> None:
    with running(WORKER, CHILD, str(pipe[0]), stdin=subprocess.DEVNULL, pass_fds=pipe) as worker:
        assert worker.stdout is not None
        trainer = int(worker.stdout.readline())

        os.kill(worker.pid, signal.SIGKILL)

        deadline = time.monotonic() + 5
        while _is_alive(trainer):
            assert time.monotonic() < deadline, "the trainer outlived its worker"
            time.sleep(0.02)


def test_a_trainer_started_by_hand_is_tied_to_nothing() -> None:
    with running(CHILD, stdin=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"

        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.3)


def _is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"

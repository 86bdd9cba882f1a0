"""The processes of `strata up`: tied to it, restarted, stopped; tried with small programs of our own."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from core.settings import Settings
from strata.embedded.children import RESTARTS_A_MINUTE, Family, GaveUpError, Program
from strata.embedded.service import CannotStartError, environment, folder_held, holder_of, require_free_port

SLEEPER = "import time; print('here', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
)


class Words(list[tuple[str, str]]):
    def say(self, speaker: str, line: str) -> None:
        self.append((speaker, line))


def until(check: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def family(folder: Path, words: Words, **codes: str) -> Family:
    """Return children that run the given Python code, each as a module of its own."""
    for name, code in codes.items():
        (folder / f"child_{name}.py").write_text(code)
    surroundings = {**os.environ, "PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "1"}
    return Family([Program(name, f"child_{name}") for name in codes], surroundings, words.say, first_pause_seconds=0.01)


def test_what_children_say_is_passed_on_under_their_names(tmp_path: Path) -> None:
    words = Words()
    children = family(tmp_path, words, one="print('a\\nb')\n" + SLEEPER, two=SLEEPER)
    children.start()
    until(lambda: len(words) == 4)
    children.stop(grace_seconds=5)
    assert [line for speaker, line in words if speaker == "one"] == ["a", "b", "here"]
    assert [line for speaker, line in words if speaker == "two"] == ["here"]


def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    words = Words()
    children = family(tmp_path, words, one=SLEEPER)
    children.start()
    until(lambda: ("one", "here") in words)
    first = children.children[0].pid
    assert first
    os.kill(first, signal.SIGKILL)
    until(lambda: (children.tend(), words.count(("one", "here")) == 2)[1])
    assert children.children[0].pid not in {None, first}
    assert ("one", "ended unasked (killed by signal 9); started again in 0.01 s") in words
    children.stop(grace_seconds=5)


def test_a_child_that_keeps_dying_is_given_up(tmp_path: Path) -> None:
    words = Words()
    children = family(tmp_path, words, one="raise SystemExit(3)")
    children.start()
    with pytest.raises(GaveUpError, match=rf"one ended {RESTARTS_A_MINUTE + 1} times .*exit code 3"):
        until(children.tend, seconds=30)


def test_a_child_that_will_not_stop_is_killed_after_the_grace(tmp_path: Path) -> None:
    words = Words()
    children = family(tmp_path, words, one=STUBBORN)
    children.start()
    until(lambda: ("one", "here") in words)
    pid = children.children[0].pid
    assert pid
    children.stop(grace_seconds=0.2)
    assert not psutil.pid_exists(pid)
    assert ("one", "does not stop in time; killed") in words


def test_no_child_survives_a_killed_parent(tmp_path: Path) -> None:
    parent = textwrap.dedent(f"""
        import os, sys, time
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from test_embedded import SLEEPER, STUBBORN, Words, family
        children = family(Path({str(tmp_path)!r}), Words(), one=SLEEPER, two=STUBBORN)
        children.start()
        print(*(child.pid for child in children.children), flush=True)
        time.sleep(600)
    """)
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout
        pids = [int(word) for word in up.stdout.readline().split()]
        until(lambda: all("child_" in " ".join(psutil.Process(pid).cmdline()) for pid in pids))
        up.kill()
    until(lambda: not any(is_alive(pid) for pid in pids))


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_folder_is_held_by_one_service(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert holder_of(tmp_path) is None
    with folder_held(settings):
        assert holder_of(tmp_path) == os.getpid()
        with pytest.raises(CannotStartError, match="already runs"), folder_held(settings):
            pass
    assert holder_of(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStartError, match="--data-dir"), folder_held(Settings(data_dir=tmp_path / "file")):
        pass


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CannotStartError, match=f"port {port} is in use"):
            require_free_port(Settings(api_port=port))


def test_the_service_listens_on_loopback_and_its_parts_agree(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, api_port=9000)
    agreed = environment(settings, {"PATH": "p", "STRATA_DISPATCHER": "celery"})
    assert agreed["PATH"] == "p"
    assert (agreed["STRATA_API_HOST"], agreed["STRATA_API_PORT"]) == ("127.0.0.1", "9000")
    assert agreed["STRATA_DISPATCHER"] == "local"
    assert agreed["STRATA_DATA_DIR"] == str(tmp_path)
    assert agreed["STRATA_ENGINE_ADDRESS"] == f"unix:{tmp_path}/run/engine.sock"


def test_a_socket_path_too_long_for_the_kernel_moves_to_a_private_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)
    address = environment(Settings(data_dir=deep), {})["STRATA_ENGINE_ADDRESS"].removeprefix("unix:")
    assert len(address) < 100
    assert Path(address).parent.stat().st_mode & 0o777 == 0o700
    Path(address).parent.rmdir()

"""The processes of an embedded service: started, their words passed on, started again when they die, stopped."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Final

from strata.embedded import launcher

# A child that dies this often within a minute will not get better by being started once more.
RESTARTS_A_MINUTE: Final = 5
MINUTE_SECONDS: Final = 60.0
# The pause before the first restart; each further one within the minute doubles it.
FIRST_PAUSE_SECONDS: Final = 0.25

Say = Callable[[str, str], None]


class GaveUpError(Exception):
    """A child keeps dying."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a child runs: `python -m module arguments…`."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()


class Child:
    """One program, kept running."""

    def __init__(
        self, program: Program, environment: Mapping[str, str], say: Say, *, first_pause_seconds: float
    ) -> None:
        self.program = program
        self._environment = dict(environment)
        self._say = say
        self._first_pause_seconds = first_pause_seconds
        self._deaths: deque[float] = deque()
        self._start_after = 0.0
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start the program in a session of its own, so that a Ctrl-C of the terminal reaches only its parent."""
        python = [sys.executable, "-P"]
        command = [*python, "-m", launcher.__name__, str(os.getpid()), *python, "-m", self.program.module]
        self._process = subprocess.Popen(  # noqa: S603 - our own modules
            [*command, *self.program.arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._pass_on, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def tend(self) -> None:
        """Start the program again if it died, later each time.

        Raises:
            GaveUpError: it died more than RESTARTS_A_MINUTE times within a minute.
        """
        if self._process is not None and self._process.poll() is not None:
            self._mourn(self._process.returncode)
        if self._process is None and time.monotonic() >= self._start_after:
            self.start()

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGTERM)

    def await_end(self, deadline: float) -> None:
        """Wait for the end until ``deadline`` (monotonic); then kill the whole session."""
        if self._process is None or self._reader is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._say(self.program.name, "does not stop in time; killed")
            self.kill()
        self._reader.join(timeout=1.0)

    def kill(self) -> None:
        """Kill the program and what shares its session."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _mourn(self, code: int) -> None:
        now = time.monotonic()
        self._process = None
        self._deaths.append(now)
        while self._deaths[0] < now - MINUTE_SECONDS:
            self._deaths.popleft()
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        if len(self._deaths) > RESTARTS_A_MINUTE:
            raise GaveUpError(f"{self.program.name} ended {len(self._deaths)} times within a minute ({how})")
        pause = self._first_pause_seconds * 2 ** (len(self._deaths) - 1)
        self._say(self.program.name, f"ended unasked ({how}); started again in {pause:g} s")
        self._start_after = now + pause

    def _pass_on(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                self._say(self.program.name, line.rstrip("\n"))


class Family:
    """All children together."""

    def __init__(
        self,
        programs: Sequence[Program],
        environment: Mapping[str, str],
        say: Say,
        *,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self.children = tuple(
            Child(program, environment, say, first_pause_seconds=first_pause_seconds) for program in programs
        )

    def start(self) -> None:
        """Start every child."""
        for child in self.children:
            child.start()

    def tend(self) -> None:
        """Start again what died.

        Raises:
            GaveUpError: one keeps dying.
        """
        for child in self.children:
            child.tend()

    def stop(self, *, grace_seconds: float) -> None:
        """Ask every child to stop, and kill those that have not after the grace."""
        for child in self.children:
            child.ask_to_stop()
        deadline = time.monotonic() + grace_seconds
        for child in self.children:
            child.await_end(deadline)

    def kill(self) -> None:
        """Kill every child at once."""
        for child in self.children:
            child.kill()

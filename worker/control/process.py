"""A computation as a child process: in a session of its own, on a lifeline that only this worker holds."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_TICK_SECONDS: Final = 0.05


class ComputeProcess:
    """One running computation and whatever it started.

    Its standard input is a pipe that is never written to: when this worker is gone, however it went, the child reads
    end of file and exits (see `worker.compute.lifeline`).
    """

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as output:
            self._child = subprocess.Popen(  # noqa: S603 - the operator's command; nothing of it comes from users
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )
        self._closed = False

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group."""
        return self._child.pid

    def exit_code(self) -> int | None:
        """Return how it ended (negative: by that signal), or None while it runs."""
        code = self._child.poll()
        if code is not None:
            self._close()
        return code

    def stop(self, *, grace_seconds: float) -> None:
        """End it politely, then by force; return when it and its group are gone."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        while self._child.poll() is None and time.monotonic() < deadline:
            time.sleep(_TICK_SECONDS)
        self.kill()

    def strike(self) -> None:
        """Send it and its group the signal that nothing survives; safe on any thread, and waits for nothing."""
        self._signal(signal.SIGKILL)

    def kill(self) -> None:
        """End it and its group by force, now."""
        if not self._closed:
            self._signal(signal.SIGKILL)
            self._child.wait()
            self._close()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        # What it left running in its group has nobody to work for any more.
        self._signal(signal.SIGKILL)
        if self._child.stdin is not None:
            self._child.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._child.pid, number)
        except ProcessLookupError:
            return

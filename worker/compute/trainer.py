"""The trainer's process: ``python -m worker.compute.trainer <job folder>``.

It reads ``spec.json``, appends to ``events.jsonl``, and says by its exit code how it ended. SIGTERM asks it to stop
after the current step, with a checkpoint.
"""

import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from pydantic import ValidationError

from core.domain.errors import CorruptError, InvalidError, MissingError
from core.domain.job_folder import ErrorEvent, Event, ExitCode, JobFolder
from core.domain.trainer_spec import TrainerSpec
from worker.compute import lifeline

_DETAILS: Final = {
    ExitCode.INVALID_SPEC: "the trainer cannot use its spec",
    ExitCode.LOSS_DIVERGED: "the loss became infinite or NaN, or exploded",
    ExitCode.OUT_OF_MEMORY: "the device ran out of memory",
    ExitCode.CORRUPT_ARTEFACT: "stored weights do not match their hashes",
    ExitCode.DISK_FULL: "the disk is full",
    ExitCode.CANCELLED: "the run was asked to stop",
}


@dataclass(slots=True)
class EventLog:
    """Appends events, one line each, whole or not at all."""

    file: TextIO
    muted: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: Event) -> None:
        """Append ``event``; only the first process of several speaks."""
        if not self.muted:
            with self._lock:
                self.file.write(event.model_dump_json() + "\n")
                self.file.flush()


# Of what an error says of itself, that is told which says more than the exit code.
_TELLING: Final = frozenset({"parity_failed", "unsupported_export"})

Stopping = Callable[[], bool]
Computation = Callable[[JobFolder, EventLog, Stopping], None]


def main(arguments: list[str]) -> int:
    """Learn the task of a job's folder and return the exit code."""
    return run(_learn, arguments)


def run(compute: Computation, arguments: list[str]) -> int:
    """Run a computation on the job's folder that ``arguments`` name, and return the exit code that says how it ended."""
    lifeline.hold()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    folder = JobFolder(Path(arguments[0]))
    with folder.events.open("a", encoding="utf-8") as file:
        report = EventLog(file, muted=os.environ.get("RANK", "0") != "0")
        try:
            compute(folder, report, stop.is_set)
        except Exception as error:  # the process ends here: its exit code must say why
            code = exit_code_of(error)
            if code is None:
                raise
            traceback.print_exc()
            report(ErrorEvent(code=_code(code, error), detail=_detail(code, error)))
            return code
    return ExitCode.OK


def exit_code_of(error: BaseException) -> ExitCode | None:
    """Return the exit code that stands for ``error``; None for a crash."""
    import torch

    from core.learning.divergence import DivergedError
    from core.learning.trainer import CancelledError

    codes: dict[type[BaseException] | tuple[type[BaseException], ...], ExitCode] = {
        (ValidationError, InvalidError, MissingError): ExitCode.INVALID_SPEC,
        DivergedError: ExitCode.LOSS_DIVERGED,
        (torch.OutOfMemoryError, MemoryError): ExitCode.OUT_OF_MEMORY,
        CorruptError: ExitCode.CORRUPT_ARTEFACT,
        CancelledError: ExitCode.CANCELLED,
    }
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ExitCode.DISK_FULL
    return next((code for kinds, code in codes.items() if isinstance(error, kinds)), None)


def _learn(folder: JobFolder, report: EventLog, stopping: Stopping) -> None:
    spec = TrainerSpec.model_validate_json(folder.spec.read_bytes())
    from core.learning.task_run import TaskRun

    TaskRun.open(spec, folder, report=report, stopping=stopping).run()


def _code(code: ExitCode, error: BaseException) -> str:
    return error.code if isinstance(error, InvalidError) and error.code in _TELLING else code.name.lower()


def _detail(code: ExitCode, error: BaseException) -> str:
    """Return what users may read: our own words, never a library's."""
    if isinstance(error, (CorruptError, InvalidError, MissingError)):
        return error.detail
    return _DETAILS[code]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

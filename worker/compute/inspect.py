"""The process of an `inspect` job: ``python -m worker.compute.inspect <job folder>``.

Reads ``spec.json`` (`InspectSpec`), converts the source into its target, loads it once as everyone will, and writes
``out/facts.json``. An earlier conversion of the same beside the target is read instead: then there is no target.
"""

import errno
import sys
from pathlib import Path

from pydantic import ValidationError
from transformers.utils import logging as transformers_logging

from core.domain.errors import CorruptError, StrataError
from core.domain.job_folder import ErrorEvent, Event, ExitCode, JobFolder, PhaseEvent
from core.domain.jobs import Phase
from core.domain.trainer_spec import InspectSpec
from core.storage import durable
from core.weights import base, licences, sources
from worker.compute import lifeline


def main(arguments: list[str]) -> int:
    """Run one job and return the process's exit code."""
    lifeline.hold()
    transformers_logging.disable_progress_bar()
    folder = JobFolder(Path(arguments[0]))
    try:
        inspect(folder)
    except (StrataError, ValidationError, OSError) as error:
        code, event = _verdict(error)
        _append(folder, event)
        return code
    return ExitCode.OK


def inspect(folder: JobFolder) -> None:
    """Read the base model that the folder's spec names.

    Raises:
        StrataError: the source is none, or what it holds cannot be used.
        ValidationError: the spec is not one.
        OSError: the disk refused.
    """
    spec = InspectSpec.model_validate_json(folder.spec.read_bytes())
    _append(folder, PhaseEvent(phase=Phase.PREPARING))
    place = sources.materialise(spec.source, Path(spec.target))
    facts = base.load(place).facts.model_copy(update={"licence": licences.of(spec.source, place)})
    folder.out.mkdir(parents=True, exist_ok=True)
    durable.write_bytes(folder.out / "facts.json", facts.model_dump_json(indent=1).encode())


def _verdict(error: Exception) -> tuple[ExitCode, ErrorEvent]:
    if isinstance(error, CorruptError):
        return ExitCode.CORRUPT_ARTEFACT, ErrorEvent(code=error.code, detail=error.detail)
    if isinstance(error, StrataError):
        return ExitCode.INVALID_SPEC, ErrorEvent(code=error.code, detail=error.detail)
    if isinstance(error, OSError):
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return ExitCode.DISK_FULL, ErrorEvent(code="disk_full", detail="no space is left for the base model")
        raise error
    return ExitCode.INVALID_SPEC, ErrorEvent(code="invalid_spec", detail="the job's spec is not one")


def _append(folder: JobFolder, event: Event) -> None:
    with folder.events.open("a", encoding="utf-8") as file:
        file.write(event.model_dump_json() + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

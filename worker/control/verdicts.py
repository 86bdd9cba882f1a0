"""What a trainer's end means for its job: the error code, and a detail that says what to do next."""

from dataclasses import dataclass
from typing import Final

from core.domain.job_folder import ErrorEvent, ExitCode
from worker.control.supervisor import Ending, EndReason


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, for its user."""

    code: str
    detail: str


# What is said when the trainer itself said nothing.
_FACTS: Final = {
    ExitCode.INVALID_SPEC: "the job's spec could not be used",
    ExitCode.LOSS_DIVERGED: "the loss became infinite or NaN, or exploded",
    ExitCode.OUT_OF_MEMORY: "the device ran out of memory",
    ExitCode.CORRUPT_ARTEFACT: "stored weights do not match their hashes",
    ExitCode.DISK_FULL: "the disk of the data folder is full",
}
_ADVICE: Final = {
    ExitCode.INVALID_SPEC: "the job's log says more",
    ExitCode.LOSS_DIVERGED: "post the task again with a lower training.learning_rate",
    ExitCode.OUT_OF_MEMORY: "post the task again with a smaller training.batch_size (and more "
    "training.gradient_accumulation), or fewer training.max_source_tokens",
    ExitCode.CORRUPT_ARTEFACT: "check the disk, then retry the job, or start from an earlier version",
    ExitCode.DISK_FULL: "free some space, then retry the job",
}
_BY_REASON: Final = {
    EndReason.TIMED_OUT: "the job ran longer than it may; raise spec.timeout_seconds or train for fewer steps",
}
# Ended from outside, not by its own doing: killed, without its worker, or told to stop by nobody we know.
_INTERRUPTIONS: Final = frozenset({ExitCode.ORPHANED, ExitCode.CANCELLED})


def was_interrupted(exit_code: int) -> bool:
    """Say whether the trainer was ended from outside, so that the same job may well succeed when tried again."""
    return exit_code < 0 or exit_code in _INTERRUPTIONS


def why_try_again(ending: Ending) -> str | None:
    """Return, in a word, why the attempt broke off though the same job may succeed when tried again; else None."""
    if ending.reason is EndReason.STALLED:
        return "stalled"
    if ending.reason is EndReason.EXITED and was_interrupted(ending.exit_code or 0):
        return "interrupted"
    return None


def failure_of(ending: Ending) -> Failure:
    """Return why the job of ``ending`` failed; code and cause are the trainer's own where it gave them."""
    if ending.reason in _BY_REASON:
        return Failure(code=ending.reason.value, detail=_BY_REASON[ending.reason])
    exit_code = next((code for code in _FACTS if code == ending.exit_code), None)
    if exit_code is None:
        return Failure(
            code="crashed",
            detail=f"the trainer ended with exit code {ending.exit_code}; the end of the job's log says why",
        )
    said = ending.error or ErrorEvent(code=exit_code.name.lower(), detail=_FACTS[exit_code])
    return Failure(code=said.code, detail=f"{said.detail}; {_ADVICE[exit_code]}")

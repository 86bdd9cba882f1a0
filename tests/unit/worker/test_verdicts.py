"""What a trainer's end means: every exit code has a code, a cause and advice."""

import pytest

from core.domain.job_folder import ErrorEvent, ExitCode
from worker.control.supervisor import Ending, EndReason
from worker.control.verdicts import failure_of, was_interrupted

FAILURES = [code for code in ExitCode if code is not ExitCode.OK and not was_interrupted(code)]


@pytest.mark.parametrize("exit_code", FAILURES)
def test_every_failure_is_named_after_its_exit_code_and_says_what_to_do(exit_code: ExitCode) -> None:
    failure = failure_of(Ending(EndReason.EXITED, exit_code))

    assert failure.code == exit_code.name.lower()
    assert "; " in failure.detail


def test_the_trainers_own_words_come_first() -> None:
    said = ErrorEvent(code="unsupported_base_model", detail="the tokenizer has no end token")

    failure = failure_of(Ending(EndReason.EXITED, ExitCode.INVALID_SPEC, error=said))

    assert failure.code == "unsupported_base_model"
    assert failure.detail.startswith("the tokenizer has no end token; ")


def test_any_other_exit_code_is_a_crash() -> None:
    assert failure_of(Ending(EndReason.EXITED, 1)).code == "crashed"


@pytest.mark.parametrize("exit_code", [-9, -15, -11, ExitCode.ORPHANED, ExitCode.CANCELLED])
def test_what_ends_a_trainer_from_outside_is_no_failure_of_the_job(exit_code: int) -> None:
    assert was_interrupted(exit_code)

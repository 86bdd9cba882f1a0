import errno

import pytest
import torch
from pydantic import ValidationError

from core.domain.errors import CorruptError, InvalidError, MissingError
from core.domain.job_folder import ExitCode
from core.domain.trainer_spec import TrainerSpec
from core.learning.divergence import DivergedError
from core.learning.trainer import CancelledError
from worker.compute.trainer import exit_code_of


def invalid_spec() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        TrainerSpec.model_validate({})
    return caught.value


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (invalid_spec(), ExitCode.INVALID_SPEC),
        (InvalidError("x"), ExitCode.INVALID_SPEC),
        (MissingError("x"), ExitCode.INVALID_SPEC),
        (DivergedError("x"), ExitCode.LOSS_DIVERGED),
        (torch.OutOfMemoryError("x"), ExitCode.OUT_OF_MEMORY),
        (MemoryError(), ExitCode.OUT_OF_MEMORY),
        (CorruptError("x"), ExitCode.CORRUPT_ARTEFACT),
        (OSError(errno.ENOSPC, "x"), ExitCode.DISK_FULL),
        (CancelledError("x"), ExitCode.CANCELLED),
    ],
)
def test_each_known_end_has_its_exit_code(error: BaseException, code: ExitCode) -> None:
    assert exit_code_of(error) is code


@pytest.mark.parametrize("error", [RuntimeError("x"), OSError(errno.EACCES, "x"), ZeroDivisionError()])
def test_anything_else_is_a_crash(error: BaseException) -> None:
    assert exit_code_of(error) is None

"""A fresh process state for `accelerate`, and the two families' tiny bases on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState

from tests.tiny_models import tiny_llama, tiny_t5


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    """Forget the one precision that `accelerate` allows a process: here many runs share one."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The base models by family; one thread, so that a sum of floats has one order."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("bases")
    return {"llama": tiny_llama(root / "llama"), "t5": tiny_t5(root / "t5")}

"""A fresh process state for `accelerate`, and tiny bases on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState

from tests.tiny_models import tiny_llama, tiny_t5


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    """Forget the one precision that `accelerate` allows a process: a trainer runs one job, a test process many."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base") / "llama")


@pytest.fixture(scope="session")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_t5(tmp_path_factory.mktemp("base") / "t5")

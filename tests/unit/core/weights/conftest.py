"""Tiny base models, built once."""

from pathlib import Path

import pytest

from core.weights import base
from core.weights.base import LoadedBase
from tests.tiny_models import tiny_llama, tiny_t5


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_t5(tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="session")
def llama(llama_folder: Path) -> LoadedBase:
    return base.load(llama_folder)


@pytest.fixture(scope="session")
def t5(t5_folder: Path) -> LoadedBase:
    return base.load(t5_folder)

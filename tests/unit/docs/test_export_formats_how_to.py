"""Every format opens as the page on exports prints it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core.domain.exports import ExportFormat
from tests.tiny_models import tiny_llama
from tests.tiny_versions import Shelf
from tests.unit.core.weights.exported import chained, exported
from tests.unit.docs.test_how_to import blocks

PROMPT = "The harbour office opens at nine"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a base model and exports of a version of it."""
    shelf = Shelf(tmp_path, tiny_llama(tmp_path / "base"))
    version = chained(shelf)
    for kind in (ExportFormat.MERGED, ExportFormat.ADAPTER, ExportFormat.GGUF):
        exported(shelf, version, tmp_path / "jobs" / kind, kind).rename(tmp_path / kind.value)
    for n, link in enumerate(version.chain, start=1):
        target = tmp_path / "delta" / "versions" / str(n)
        target.parent.mkdir(parents=True, exist_ok=True)
        shelf.artefacts.path(link.artefact).rename(target)
    with contextlib.chdir(tmp_path):
        yield tmp_path


def test_every_format_is_opened_as_printed_and_answers_alike(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del folder
    merged, adapter, gguf, deltas, _client = blocks("export.md")
    opened: list[dict[str, object]] = [{}, {}, {}]
    for code, known in zip((merged, adapter, gguf), opened, strict=True):
        exec(compile(code, "export.md", "exec"), known)
    ids = opened[0]["tokenizer"](PROMPT, return_tensors="pt").input_ids  # type: ignore[operator]
    assert torch.equal(opened[2]["tokenizer"](PROMPT, return_tensors="pt").input_ids, ids)  # type: ignore[operator]
    with torch.no_grad(), torch.sparse.check_sparse_tensor_invariants():
        first, *others = [known["model"](ids).logits for known in opened]  # type: ignore[operator]
    for other in others:
        assert float((first - other).abs().max()) <= 1e-4
    exec(compile(deltas, "export.md", "exec"), {})
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["version 1", "version 2"]

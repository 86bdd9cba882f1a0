"""The page on exports runs as printed."""

import contextlib
import re
from pathlib import Path

import pytest
import torch

from core.weights.delta import Delta
from tests.tiny_models import tiny_llama

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "export-an-adapter.md"


def test_a_delta_is_exported_and_loaded_as_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export, load = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    with contextlib.chdir(tmp_path):
        name = "model.layers.0.self_attn.q_proj"
        update = torch.eye(32)
        Delta.from_dense({name: update}, sparse=True).save(Path("delta.safetensors"))
        tiny_llama(Path("base"))
        exec(compile(export, PAGE.name, "exec"), {})
        assert capsys.readouterr().out == "32 entries change; r = 1, 64 entries, {} bytes\n".format(
            Path("adapter/adapter_model.safetensors").stat().st_size
        )
        known: dict[str, object] = {}
        exec(compile(load, PAGE.name, "exec"), known)
        layer = known["model"].get_submodule(f"base_model.model.{name}")  # type: ignore[attr-defined]
        with torch.sparse.check_sparse_tensor_invariants():
            assert torch.equal(layer.get_delta_weight("default").to_dense(), update)

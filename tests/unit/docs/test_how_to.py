"""What the how-to pages print runs as printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.weights import base
from tests.tiny_models import tiny_llama

ROOT = Path(__file__).parents[3]


def blocks(page: str, language: str = "python") -> list[str]:
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def test_three_tasks_are_learned_in_a_notebook_as_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = base.load(tiny_llama(tmp_path))
    (_, three_tasks) = blocks("learn-in-a-notebook.md")
    exec(
        compile(three_tasks, "learn-in-a-notebook.md", "exec"), {"network": loaded.model, "tokenizer": loaded.tokenizer}
    )
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["tides", "doors", "bells"]


def test_an_objective_is_added_by_a_folder_and_a_line_as_printed(tmp_path: Path) -> None:
    config, rule = blocks("add-a-method.md")
    for package in ("core", "strata"):
        (tmp_path / package).parent.mkdir(exist_ok=True)
        subprocess.run(["cp", "-r", ROOT / package, tmp_path / package], check=True)
    folder = tmp_path / "core/learning/objectives/centred"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "config.py").write_text(config)
    (folder / "rule.py").write_text(rule)
    parts = tmp_path / "core/learning/catalogue/parts.py"
    parts.write_text(
        parts.read_text().replace('    "objectives.drift",\n', '    "objectives.drift",\n    "objectives.centred",\n')
    )
    program = """
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from core.learning.adapters.jumplora.rule import JumpLora
from core.learning.adapters.jumplora.config import JumpLoraSettings
from core.learning.catalogue.listing import methods
from core.learning.catalogue.parts import PARTS

part = PARTS["objective"]["centred"]
shape = dict(vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
adapter = JumpLora(JumpLoraSettings(target_modules=("q_proj",)))
adapter.attach(LlamaForCausalLM(LlamaConfig(**shape)))
layer = next(iter(adapter.layers().values()))
torch.nn.init.normal_(layer.factors.b_OR)
assert part.rule_class()(part.settings(strength=2.0)).add_gradient(adapter.layers()) > 0
assert layer.factors.a_RI.grad.abs().sum() > 0
assert "centred" in methods()[0]["schema"]["objectives"]
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)

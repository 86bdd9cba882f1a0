"""A learned version leaves by the command line in every format, and each is opened by the library that it is for."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from installation import Installation, never
from loopback import served
from moved_models import import_folder
from peft import PeftModel
from real_service import RealService
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from core.services import versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.serving.loading import LiveVersion, VersionLoader
from core.storage import manifests
from core.storage.artefacts import LocalArtefactStore
from strata.cli.app import app
from worker.compute.registry_source import RegistrySource
from worker.control import assembly
from worker.control.loop import run_next

# Each process loads torch, which takes long where many do.
pytestmark = pytest.mark.timeout(400)


@contextmanager
def working(installation: Installation) -> Iterator[None]:
    """A worker on a thread of its own, for as long as the block takes."""
    stop = threading.Event()

    def work() -> None:
        with assembly.open_context(installation.settings) as context:
            while not stop.wait(0.05):
                run_next(context, stop_requested=never, chores=lambda: None)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def engines_own(installation: Installation, version: str, cache: Path) -> LiveVersion:
    """The version as the engine loads it."""
    store = LocalArtefactStore(installation.settings.artefacts_dir)
    with installation.registry.read() as work:
        found = versions.resolve(work, project_id=PROJECT, reference=version)
    loader = VersionLoader(artefacts=store, cache=cache, device=torch.device("cpu"))
    return loader.load(RegistrySource(installation.registry).servable(found.id))


def answer(model: Any, tokenizer: Any) -> Tensor:
    with torch.no_grad(), torch.sparse.check_sparse_tensor_invariants():
        logits: Tensor = model.eval()(tokenizer("hue 20 is tint 21", return_tensors="pt").input_ids).logits
    return logits


def test_every_format_is_brought_home_and_answers_as_the_engine_does(real_service: RealService, tmp_path: Path) -> None:
    installation = real_service.installation
    live = engines_own(installation, "colours@2", tmp_path / "cache")
    own = answer(live.module, live.tokenizer)
    told = {}
    with served(real_service.app) as url, working(installation):
        for kind in ("merged", "adapter", "gguf", "delta"):
            words = ("models", "export", "colours@2", "--format", kind, "--out", str(tmp_path / kind), "--json")
            run = CliRunner().invoke(app, ["--url", url, *words], catch_exceptions=False)
            assert run.exit_code == 0, run.output
            told[kind] = json.loads(run.stdout)

    for kind, export in told.items():
        assert export["parity"]["max_abs_difference"] <= 1e-4
        manifests.verify(tmp_path / kind, sha256=export["manifest_sha256"])
        card = (tmp_path / kind / "README.md").read_text()
        for text in ("colours@2", "hue", "tint", "jumplora+ella+replay", "apache-2.0", "exact_match"):
            assert text in card, (kind, text)
    opened = {
        "merged": AutoModelForCausalLM.from_pretrained(tmp_path / "merged"),
        "adapter": PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(real_service.base), tmp_path / "adapter"
        ),
        "gguf": AutoModelForCausalLM.from_pretrained(tmp_path / "gguf", gguf_file="model.gguf"),
    }
    tokenizers = {
        "merged": AutoTokenizer.from_pretrained(tmp_path / "merged"),
        "adapter": AutoTokenizer.from_pretrained(real_service.base),
        "gguf": AutoTokenizer.from_pretrained(tmp_path / "gguf", gguf_file="model.gguf"),
    }
    for kind, model in opened.items():
        assert float((answer(model, tokenizers[kind]) - own).abs().max()) <= 1e-4, kind

    assert import_folder(installation, tmp_path / "delta", "moved").exit_code == 0
    moved = engines_own(installation, "moved", tmp_path / "other")
    assert torch.equal(answer(moved.module, moved.tokenizer), own)

"""A soaked engine is as it was: nothing waits, no room is taken, no descriptor or thread is left, no memory grows."""

from pathlib import Path

import torch

from benchmarks.serving.soak import Soak
from core.serving.engine import Engine
from core.serving.loading import VersionLoader
from tests.tiny_models import tiny_llama
from tests.tiny_versions import SetSource, Shelf


def test_cancels_bad_inputs_and_flips_leave_nothing_behind(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    shelf, source = Shelf(tmp_path, tiny_llama(tmp_path / "base")), SetSource()
    loader = VersionLoader(artefacts=shelf.artefacts, cache=tmp_path / "cache", device=torch.device("cpu"))
    engine = Engine(source=source, loader=loader, memory_bytes=2**30)
    soak = Soak(engine, source, shelf)
    engine.start(poll_seconds=0.1)
    try:
        told = soak.run(requests=800, callers=8)
    finally:
        engine.stop()
    assert set(told["outcomes"]) == {"answered", "given up", "refused: invalid", "refused: context_length_exceeded"}
    assert told["outcomes"]["answered"] > 500
    left = told["left_behind"]
    assert (left["busy"], left["room_tokens"], left["threads"]) == (0, 0, 0)
    assert left["file_descriptors"] <= 0
    assert left["resident_bytes"] < 16 * 2**20

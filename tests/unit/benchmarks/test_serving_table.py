"""README's table of answers is made of the committed results, and what it is made of is measured as it says."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.serving import baselines, flips, memory, throughput
from benchmarks.serving.table import markdown
from benchmarks.tables import README, RESULTS, with_table
from core.serving.engine import Engine
from core.serving.loading import VersionLoader
from tests.tiny_models import tiny_llama
from tests.tiny_versions import SetSource, Shelf

COMMITTED = RESULTS / "serving.json"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Everything that runs in one process, on a tiny model."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("serving")
    shelf, source = Shelf(folder, tiny_llama(folder / "base")), SetSource()
    loader = VersionLoader(artefacts=shelf.artefacts, cache=folder / "cache", device=torch.device("cpu"))
    engine = Engine(source=source, loader=loader, memory_bytes=10**12)
    engine.start(poll_seconds=0.05)
    try:
        model = source.point("latest", shelf.original())
        rows = throughput.rows(engine, model, shelf.loaded, concurrency=[1, 3], rounds=1, max_tokens=6)
        return {
            "rows": rows,
            "memory": memory.rows(engine, source, shelf, versions=2),
            "flips": flips.figures(engine, source, shelf, flips=3, rollbacks=2),
        }
    finally:
        engine.stop()


def test_the_readme_shows_what_the_committed_results_give_and_no_table_without_them() -> None:
    readme = README.read_text(encoding="utf-8")
    if COMMITTED.exists():
        committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
        assert with_table(readme, committed, name="serving") == readme
    else:
        assert "<!-- serving -->\n<!-- serving -->" in readme


def test_a_row_compares_rates_of_the_same_prompts(measured: dict[str, Any]) -> None:
    for row, many in zip(measured["rows"], (1, 3), strict=True):
        assert row["concurrency"] == many
        assert row["ratio_static"] == pytest.approx(
            row["tokens_per_second"] / row["static_tokens_per_second"], rel=0.02
        )
        assert row["ttft_p50"] <= row["ttft_p99"]


def test_flips_lose_no_answer_and_mix_no_versions(measured: dict[str, Any]) -> None:
    told = measured["flips"]
    assert (told["count"], told["rollbacks"], told["failed"], told["mixed"]) == (3, 2, 0, 0)
    assert told["versions_that_spoke"] > 1
    assert told["distinct_texts"] > 8


def test_live_versions_take_what_the_bound_allows(measured: dict[str, Any]) -> None:
    assert [row["versions"] for row in measured["memory"]] == [1, 2]
    assert all(1 < row["unique_ratio"] <= row["bound"] for row in measured["memory"])


def test_llama_cpp_is_measured_only_where_it_and_a_file_are() -> None:
    assert baselines.llama_cpp(None, ["x"], max_tokens=1, threads=1) is None
    assert baselines.llama_cpp(Path("no.gguf"), ["x"], max_tokens=1, threads=1) is None


def test_the_table_has_a_line_a_concurrency_and_says_where_it_was_measured(measured: dict[str, Any]) -> None:
    where = {"processor": "cpu", "threads": 1, "torch": "2", "revision": "abc", "idle": False, "load_before": 2.0}
    rates = {"engine": 90.0, "engine_http": 89.0, "api": 88.0}
    http = {"tokens_per_second": rates, "added_milliseconds_p50": {"engine_http": 1.0, "api": 4.0}}
    text = markdown({**measured, **where, "http": http, "settings": {"max_tokens": 6, "rounds": 2}})
    assert sum(line.startswith(("| 1 |", "| 3 |")) for line in text.splitlines()) == 2
    assert "88 through the API" in text
    assert text.endswith("The machine was not idle (load 2.0).")

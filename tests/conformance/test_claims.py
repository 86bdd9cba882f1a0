"""What each method is for, against `inclora` on a toy that `inclora` forgets: one claim a preset."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from forgetting import Outcome, learn_both, pretrained

from core.learning.catalogue.presets import PRESETS

# The published strength of ELLA is for the query and value projections of a large model; here all layers learn.
ELLA: Mapping[str, Any] = {"ella": {"strength": 100.0}}
# Sparsity is asked of eighteen thousand entries, not of thirteen million.
L1: Mapping[str, Any] = {"l1_delta": {"strength": 1e-3}}
KNOWN = 0.3
LOST = 1.5


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return pretrained(tmp_path_factory.mktemp("toy"))


@cache
def outcome(folder: Path, method: str, objectives: str = "") -> Outcome:
    AcceleratorState._reset_state(reset_partial_state=True)
    given = {"ella": ELLA, "l1": L1, "all": {**ELLA, "drift": {"strength": 100.0}}, "laplace": {"laplace": {}}}.get(
        objectives, {}
    )
    return learn_both(folder, method, {"objectives": given})


@pytest.fixture
def plain(base_folder: Path) -> Outcome:
    return outcome(base_folder, "inclora")


def test_inclora_learns_both_tasks_and_forgets_the_first(plain: Outcome) -> None:
    assert plain.learned < KNOWN
    assert plain.second < KNOWN
    assert plain.forgotten > LOST


def test_seqlora_learns_as_well_and_forgets_too(base_folder: Path) -> None:
    got = outcome(base_folder, "seqlora")
    assert got.second < KNOWN
    assert got.forgotten > 1.0


def test_seqft_learns_as_well_and_forgets_too(base_folder: Path) -> None:
    got = outcome(base_folder, "seqft")
    assert got.second < KNOWN
    assert got.forgotten > 1.0


@pytest.mark.parametrize("method", ["olora", "l2", "ewc", "lwf"])
def test_at_its_default_strength_it_learns_the_second_task_and_forgets_less(
    method: str, base_folder: Path, plain: Outcome
) -> None:
    got = outcome(base_folder, method)
    assert got.learned < KNOWN
    assert got.second < KNOWN
    assert got.forgotten < 0.95 * plain.forgotten


def test_ewc_and_l2_forget_less_than_half(base_folder: Path, plain: Outcome) -> None:
    for method in ("ewc", "l2"):
        assert outcome(base_folder, method).forgotten < plain.forgotten / 2


def test_l2_moves_less_far(base_folder: Path, plain: Outcome) -> None:
    assert outcome(base_folder, "l2").size < plain.size


def test_ella_forgets_less_than_half_and_still_learns(base_folder: Path, plain: Outcome) -> None:
    got = outcome(base_folder, "ella", "ella")
    assert got.second < KNOWN
    assert got.forgotten < plain.forgotten / 2


def test_nlora_forgets_less_and_leaves_more_entries_near_zero(base_folder: Path, plain: Outcome) -> None:
    got = outcome(base_folder, "nlora", "l1")
    assert got.second < KNOWN
    assert got.forgotten < 0.8 * plain.forgotten
    assert got.near_zero > plain.near_zero


def test_replay_forgets_less(base_folder: Path, plain: Outcome) -> None:
    got = outcome(base_folder, "replay")
    assert got.second < KNOWN
    assert got.forgotten < 0.8 * plain.forgotten


def test_mtl_knows_both_tasks_at_the_end(base_folder: Path, plain: Outcome) -> None:
    got = outcome(base_folder, "mtl")
    assert got.second < 2 * KNOWN
    assert got.forgotten < plain.forgotten / 4


def test_jumplora_learns_as_well_and_leaves_entries_at_exactly_zero(base_folder: Path, plain: Outcome) -> None:
    got = outcome(base_folder, "jumplora")
    assert got.learned < KNOWN
    assert got.second < KNOWN
    for sparse, dense in zip(got.chain, plain.chain, strict=True):
        # The gate opens with as many entries as there are factor parameters: of matrices so small that is about half.
        assert sparse.density < 0.9
        assert dense.density > 0.99


def test_jumplora_and_ella_forget_less_than_jumplora(base_folder: Path) -> None:
    got = outcome(base_folder, "jumplora+ella@paper", "ella")
    assert got.second < KNOWN
    assert got.forgotten < 0.8 * outcome(base_folder, "jumplora").forgotten
    assert got.chain[-1].density < 1


def test_jumplora_and_ella_and_replay_forget_less_than_jumplora(base_folder: Path) -> None:
    got = outcome(base_folder, "jumplora+ella+replay", "ella")
    assert got.second < 2 * KNOWN
    assert got.forgotten < 0.8 * outcome(base_folder, "jumplora").forgotten


def test_the_default_method_forgets_next_to_nothing_and_still_learns(base_folder: Path, plain: Outcome) -> None:
    got = outcome(base_folder, "jumplora+ella", "all")
    assert got.second < KNOWN
    assert got.forgotten < plain.forgotten / 4
    assert got.forgotten < KNOWN


def test_jumplora_and_laplace_forget_less_than_a_quarter_and_still_learn(base_folder: Path, plain: Outcome) -> None:
    got = outcome(base_folder, "jumplora", "laplace")
    assert got.second < KNOWN
    assert got.forgotten < plain.forgotten / 4


def test_every_method_has_its_claim() -> None:
    claimed = Path(__file__).read_text(encoding="utf-8")
    assert [method for method in PRESETS if f'"{method}"' not in claimed] == []

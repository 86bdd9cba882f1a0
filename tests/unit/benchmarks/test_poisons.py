"""No poisoned task passes the gate, and no clean one is refused: two seeds of what the benchmark tries with twenty."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
import torch
from accelerate.state import AcceleratorState

from benchmarks.poisons.__main__ import count
from benchmarks.poisons.trial import KINDS, Trial, scene, trials
from core.domain.gate_report import Rule
from core.domain.policies import GatePolicy

SEEDS = range(2)

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def tried() -> Iterator[dict[str, list[Trial]]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    AcceleratorState._reset_state(reset_partial_state=True)
    found = defaultdict(list)
    for each in trials(scene(), kinds=KINDS, seeds=SEEDS, policy=GatePolicy()):
        found[each.kind].append(each)
    yield found
    AcceleratorState._reset_state(reset_partial_state=True)
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("random labels", Rule.ABOVE_CHANCE),
        ("contradiction", Rule.SINGLE_DROP),
        ("flipped file", Rule.ABOVE_CHANCE),
    ],
)
def test_a_poison_is_refused_by_the_rule_that_is_there_for_it(
    kind: str, rule: Rule, tried: dict[str, list[Trial]]
) -> None:
    counted = count(kind, tried[kind])
    assert (counted.passed, counted.refused_by[rule]) == (0, len(SEEDS))


def test_clean_tasks_pass_and_are_really_learned(tried: dict[str, list[Trial]]) -> None:
    counted = count("clean", tried["clean"])
    assert (counted.passed, counted.refused_by) == (len(SEEDS), {})
    assert counted.score > 0.7
    assert counted.norm_ratio < 0.5

"""What holds for every preset, on both families: written once, over the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load, save
from stream import lineage_on, logits, parts_of, same, spec_of, task, weights
from torch import Tensor

from core.domain.job_folder import ProgressEvent
from core.learning.catalogue.parts import PARTS
from core.learning.catalogue.presets import PRESETS
from core.learning.lineage import Lineage
from core.learning.memories.port import Past
from core.learning.method import assemble
from core.weights.delta import Delta

TASKS = 4


@dataclass
class Learned:
    """A preset's life over four tasks, written down as it went."""

    lineage: Lineage
    base: dict[str, Tensor]
    chain_bits: list[dict[str, Tensor]] = field(default_factory=list)
    states: list[dict[str, dict[str, Tensor]]] = field(default_factory=list)
    weights: list[dict[str, Tensor]] = field(default_factory=list)
    events: list[list[ProgressEvent]] = field(default_factory=list)


def bits(delta: Delta) -> dict[str, Tensor]:
    tensors = {}
    for name, module in delta.modules.items():
        tensors[name] = module.values.clone()
        if module.indices is not None:
            tensors[name + ".indices"] = module.indices.clone()
    return tensors


def copied(states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    return {memory: {name: tensor.clone() for name, tensor in state.items()} for memory, state in states.items()}


def learn(lineage: Lineage, number: int, method: str, **training: Any) -> list[ProgressEvent]:
    events: list[ProgressEvent] = []
    lineage.learn(
        task(number),
        spec=spec_of(method, **training),
        report=lambda event: events.append(event) if isinstance(event, ProgressEvent) else None,
    )
    return events


@cache
def life(method: str, folder: Path) -> Learned:
    """Learn the stream once, for all the tests that look at it; nobody may change what it returns."""
    AcceleratorState._reset_state(reset_partial_state=True)
    lineage = lineage_on(folder, method)
    learned = Learned(lineage, weights(lineage.network))
    for number in range(1, TASKS + 1):
        learned.events.append(learn(lineage, number, method))
        learned.chain_bits.append(bits(lineage.chain[-1]))
        learned.states.append(copied(lineage.states))
        learned.weights.append(weights(lineage.network))
    return learned


@pytest.fixture(params=["llama", "t5"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=PRESETS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(folders: dict[str, Path], family: str) -> Path:
    return folders[family]


@pytest.fixture
def learned(method: str, folder: Path) -> Learned:
    return life(method, folder)


def after(
    folder: Path, learned: Learned, tasks: int, states: Mapping[str, Mapping[str, Tensor]], method: str
) -> Lineage:
    """Return a fresh model that stands after ``tasks`` tasks, as a job of the service rebuilds it."""
    lineage = lineage_on(folder, method)
    for delta in learned.lineage.chain[:tasks]:
        lineage._merge(delta)
        lineage.chain.append(delta)
    lineage.states = dict(states)
    return lineage


def test_a_fresh_adapter_answers_as_its_parent(method: str, folder: Path, learned: Learned) -> None:
    restarts = PRESETS[method].composition == "restart"
    parent = after(folder, learned, 2, learned.states[1], method)
    before = logits(lineage_on(folder, method).network if restarts else parent.network)
    rules = assemble(parent.recipe(spec_of(method)))
    model = rules.adapter.attach(parent.network)
    rules.recall(
        Past(chain=parent.chain, states=parent.states, modules=set(rules.adapter.layers()), device=torch.device("cpu"))
    )
    rules.composition.begin(parent.network, rules.adapter, parent._pristine)
    torch.testing.assert_close(logits(model), before, rtol=1e-5, atol=1e-4)
    rules.adapter.detach()
    rules.composition.end(parent.network)
    assert same(weights(parent.network), learned.weights[1])


def test_what_is_merged_answers_as_the_adapter_did(method: str, folder: Path, learned: Learned) -> None:
    parent = after(folder, learned, 1, learned.states[0], method)
    rules = assemble(parent.recipe(spec_of(method)))
    model = rules.adapter.attach(parent.network)
    rules.recall(
        Past(chain=parent.chain, states=parent.states, modules=set(rules.adapter.layers()), device=torch.device("cpu"))
    )
    rules.composition.begin(parent.network, rules.adapter, parent._pristine)
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dim() == 2:
            parameter.data += 0.02 * torch.randn(parameter.shape, generator=generator)
    rules.adapter.after_step(5, total_steps=5)
    unmerged = logits(model)
    delta = rules.composition.delta(rules.adapter)
    rules.adapter.detach()
    rules.composition.end(parent.network)
    assert same(weights(parent.network), learned.weights[0])
    parent._merge(delta)
    # fp32 sums in another order, which the number of threads changes too.
    torch.testing.assert_close(logits(parent.network), unmerged, rtol=1e-5, atol=5e-5)


def test_earlier_tasks_are_bit_for_bit_what_they_were(learned: Learned) -> None:
    assert len(learned.lineage.chain) == TASKS
    for delta, kept in zip(learned.lineage.chain, learned.chain_bits, strict=True):
        assert same(bits(delta), kept)
    adapted = {name + ".weight" for delta in learned.lineage.chain for name in delta.modules}
    for name, tensor in learned.base.items():
        assert torch.equal(tensor, learned.weights[-1][name]) == (name not in adapted)


def test_memories_that_were_put_down_and_taken_up_lead_to_the_same_bits(
    method: str, folder: Path, learned: Learned
) -> None:
    states = {name: load(save(state)) for name, state in learned.states[1].items()}
    again = after(folder, learned, 2, states, method)
    learn(again, 3, method)
    assert same(weights(again.network), learned.weights[2])
    assert again.states.keys() == learned.states[2].keys()
    for name, state in again.states.items():
        assert same(state, learned.states[2][name])


def test_a_penalty_on_the_past_is_exactly_zero_without_one_and_more_with_one(method: str, learned: Learned) -> None:
    for name in PRESETS[method].objectives:
        if not PARTS["objective"][name].rule_class().has_value:
            continue
        first, second = ([event.values[f"{name}_loss"] for event in learned.events[task]] for task in (0, 1))
        assert max(second) > 0
        if name not in {"l1_delta", "l2_delta"}:
            assert set(first) == {0.0}


def test_every_figure_is_a_number_in_bf16_too(method: str, folder: Path) -> None:
    lineage = lineage_on(folder, method)
    for number in (1, 2):
        events = learn(lineage, number, method, precision="bf16")
        assert all(torch.tensor(list(event.values.values())).isfinite().all() for event in events)
    assert all(tensor.isfinite().all() for tensor in weights(lineage.network).values())
    assert all(parameter.dtype == torch.float32 for parameter in lineage.network.parameters())
    for state in lineage.states.values():
        assert all(tensor.isfinite().all() for tensor in state.values())


def test_what_the_parts_say_of_themselves_is_so(method: str, learned: Learned) -> None:
    offered = parts_of(method)[0].provides
    restarts = PRESETS[method].composition == "restart"
    for delta in learned.lineage.chain:
        assert (delta.format == "sparse") == ("sparse_delta" in offered)
        assert (delta.density < 1) == ("sparse_delta" in offered)
    if "low_rank" in offered and not restarts:
        # What a continued adapter gained is the difference of two such products.
        rank = 8 * (2 if PRESETS[method].composition == "continue" else 1)
        for module in learned.lineage.chain[-1].modules.values():
            assert int(torch.linalg.matrix_rank(module.to_dense(), rtol=1e-4)) <= rank


def test_the_free_teacher_is_the_parent(method: str, folder: Path, learned: Learned) -> None:
    if "free_teacher" not in parts_of(method)[0].provides:
        return
    parent = after(folder, learned, 1, learned.states[0], method)
    before = logits(parent.network)
    adapter = assemble(parent.recipe(spec_of(method))).adapter
    model = adapter.attach(parent.network)
    with torch.no_grad():
        for view in adapter.layers().values():
            assert view.factors is not None
            view.factors.b_OR.normal_(generator=torch.Generator().manual_seed(1))
    assert not torch.equal(logits(model), before)
    with model.disable_adapter():
        torch.testing.assert_close(logits(model), before, rtol=0, atol=0)
    adapter.detach()


def test_what_is_kept_grows_only_where_it_is_said(method: str, learned: Learned) -> None:
    def size(states: Mapping[str, Mapping[str, Tensor]]) -> int:
        return sum(tensor.nbytes for state in states.values() for tensor in state.values())

    grows = any(part.grows_with_tasks for part in parts_of(method) if part.axis == "memory")
    sizes = [size(states) for states in learned.states]
    assert (sizes[3] > sizes[0]) == grows
    assert grows or len(set(sizes)) == 1


def test_the_network_is_left_plain_and_frozen(learned: Learned) -> None:
    assert not any(parameter.requires_grad for parameter in learned.lineage.network.parameters())
    assert not any("lora" in name for name, _ in learned.lineage.network.named_modules())

"""Delta files: what is written is read; what is not exactly a delta is corrupt."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from core.domain.errors import CorruptError
from core.weights.delta import Delta

SHAPES = {"a.q": (4, 6), "a.v": (2, 6)}
SAID = {"kind": "sparse", "shapes": SHAPES}
META = {"strata-delta-1": json.dumps(SAID)}


def updates() -> dict[str, Tensor]:
    q_OI = torch.zeros(4, 6)
    q_OI[0, 1], q_OI[3, 5] = 0.5, -2.0
    return {"a.q": q_OI, "a.v": torch.zeros(2, 6)}


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_delta_is_read_as_it_was_written(tmp_path: Path, *, sparse: bool, dtype: torch.dtype) -> None:
    written = {name: update.to(dtype) for name, update in updates().items()}
    Delta.from_dense(written, sparse=sparse).save(tmp_path / "d")
    delta = Delta.load(tmp_path / "d", shapes=SHAPES)
    assert delta.format == ("sparse" if sparse else "dense")
    assert (delta.nnz, delta.density) == (2, 2 / 36)
    for name, update in written.items():
        torch.testing.assert_close(delta.modules[name].to_dense(), update, rtol=0, atol=0)


def test_the_summary_counts_each_module() -> None:
    summary = Delta.from_dense(updates(), sparse=True).summary(size_bytes=7)
    assert (summary.nnz, summary.format, summary.size_bytes) == (2, "sparse", 7)
    assert {name: (module.shape, module.nnz) for name, module in summary.modules.items()} == {
        "a.q": ((4, 6), 2),
        "a.v": ((2, 6), 0),
    }


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=6, max_size=6))
def test_sparse_and_dense_say_the_same(values: list[float]) -> None:
    update = {"m": torch.tensor(values).view(2, 3)}
    sparse, dense = Delta.from_dense(update, sparse=True), Delta.from_dense(update, sparse=False)
    assert torch.equal(sparse.modules["m"].to_dense(), dense.modules["m"].to_dense() + 0.0)
    assert sparse.nnz == dense.nnz


def test_half_precision_updates_are_kept_as_float32() -> None:
    delta = Delta.from_dense({"m": torch.ones(2, 2, dtype=torch.bfloat16)}, sparse=True)
    assert delta.modules["m"].values.dtype is torch.float32


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_never_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(CorruptError, match="not finite"):
        Delta.from_dense({"m": torch.full((1, 1), value)}, sparse=False).save(tmp_path / "d")


Tensors = dict[str, Tensor]


def _sound() -> Tensors:
    return {
        "a.q.indices": torch.tensor([1, 23], dtype=torch.int32),
        "a.q.values": torch.tensor([0.5, -2.0]),
        "a.v.indices": torch.tensor([], dtype=torch.int32),
        "a.v.values": torch.tensor([]),
    }


FAULTS: dict[str, Callable[[Tensors], Any]] = {
    "a module without values": lambda t: t.pop("a.v.values"),
    "a tensor of no module": lambda t: t.update({"b.values": torch.ones(1)}),
    "values of a wrong dtype": lambda t: t.update({"a.q.values": torch.ones(2, dtype=torch.float16)}),
    "indices of a wrong dtype": lambda t: t.update({"a.q.indices": torch.tensor([1.0, 23.0])}),
    "fewer values than indices": lambda t: t.update({"a.q.values": torch.ones(1)}),
    "an index that is negative": lambda t: t.update({"a.q.indices": torch.tensor([-1, 23], dtype=torch.int32)}),
    "an index out of range": lambda t: t.update({"a.q.indices": torch.tensor([1, 24], dtype=torch.int32)}),
    "an index twice": lambda t: t.update({"a.q.indices": torch.tensor([5, 5], dtype=torch.int32)}),
    "indices that fall": lambda t: t.update({"a.q.indices": torch.tensor([5, 2], dtype=torch.int32)}),
    "a NaN": lambda t: t.update({"a.q.values": torch.tensor([0.5, float("nan")])}),
    "an infinity": lambda t: t.update({"a.q.values": torch.tensor([0.5, float("inf")])}),
}


def test_the_sound_file_that_the_faulty_ones_differ_from_is_read(tmp_path: Path) -> None:
    save_file(_sound(), tmp_path / "d", metadata=META)
    assert Delta.load(tmp_path / "d", shapes=SHAPES).nnz == 2


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_with_one_fault_is_corrupt(tmp_path: Path, fault: str) -> None:
    tensors = _sound()
    FAULTS[fault](tensors)
    save_file(tensors, tmp_path / "d", metadata=META)
    with pytest.raises(CorruptError):
        Delta.load(tmp_path / "d", shapes=SHAPES)


@pytest.mark.parametrize(
    "metadata",
    [
        {"strata-delta-2": json.dumps(SAID)},
        {"strata-delta-1": "not JSON"},
        {"strata-delta-1": "[]"},
        {"strata-delta-1": json.dumps({**SAID, "kind": "factors"})},
        {"strata-delta-1": json.dumps({**SAID, "shapes": []})},
        {"strata-delta-1": json.dumps({**SAID, "shapes": {"a.q": [4], "a.v": [2, 6]}})},
        {"strata-delta-1": json.dumps({"kind": "sparse"})},
        {},
    ],
)
def test_a_file_that_does_not_say_what_it_is_is_corrupt(tmp_path: Path, metadata: dict[str, str]) -> None:
    save_file(_sound(), tmp_path / "d", metadata=metadata)
    with pytest.raises(CorruptError):
        Delta.load(tmp_path / "d")


@pytest.mark.parametrize("shapes", [{"a.q": (4, 6)}, {"a.q": (6, 4), "a.v": (2, 6)}])
def test_a_delta_of_another_base_is_corrupt(tmp_path: Path, shapes: dict[str, tuple[int, int]]) -> None:
    save_file(_sound(), tmp_path / "d", metadata=META)
    with pytest.raises(CorruptError, match="does not have"):
        Delta.load(tmp_path / "d", shapes=shapes)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 4,
        (9 * 1024 * 1024).to_bytes(8, "little") + b" " * 64,
        (2).to_bytes(8, "little") + b"[]",
        (40).to_bytes(8, "little") + b'{"a":{"dtype":"F32"}}',
        (29).to_bytes(8, "little") + b'{"__metadata__":{},"x":1,"x":2}'[:29],
        b"PK\x03\x04 a pickle in a zip",
    ],
)
def test_what_is_no_safetensors_file_is_corrupt(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "d").write_bytes(content)
    with pytest.raises(CorruptError):
        Delta.load(tmp_path / "d")


def test_a_name_twice_in_the_header_is_corrupt(tmp_path: Path) -> None:
    entry = '"m.values":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}'
    meta = {"strata-delta-1": '{"kind":"dense","shapes":{"m":[1,1]}}'}
    header = f'{{"__metadata__":{json.dumps(meta)},{entry},{entry}}}'.encode()
    (tmp_path / "d").write_bytes(len(header).to_bytes(8, "little") + header + b"\x00" * 4)
    with pytest.raises(CorruptError, match="twice"):
        Delta.load(tmp_path / "d")


def test_the_same_delta_is_the_same_bytes(tmp_path: Path) -> None:
    delta = Delta.from_dense({f"m{number}": torch.eye(3) * number for number in range(1, 9)}, sparse=True)
    delta.save(tmp_path / "one")
    delta.save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()

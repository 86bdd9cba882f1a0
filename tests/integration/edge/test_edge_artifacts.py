"""126 to 132: what a version is made of, read as if somebody had been at it."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from cases import covers
from safetensors.torch import save_file

from core.domain.errors import CorruptError
from core.storage import manifests
from core.weights import sources
from core.weights.delta import Delta
from tests.tiny_models import tiny_llama

SHAPES: Final = {"a.q": (4, 6), "a.v": (2, 6)}
META: Final = {"strata-delta-1": json.dumps({"kind": "dense", "shapes": SHAPES})}
DELTA: Final = "delta.safetensors"


def values(**changes: Any) -> dict[str, torch.Tensor]:
    tensors = {f"{name}.values": torch.ones(shape) for name, shape in SHAPES.items()}
    return {name: tensor for name, tensor in {**tensors, **changes}.items() if tensor is not None}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A version's folder, sealed."""
    folder = tmp_path / "version"
    folder.mkdir()
    save_file(values(), str(folder / DELTA), metadata=META)
    (folder / "scores.json").write_text("[]")
    manifests.seal(folder, {"kind": "test"})
    return folder


def unlink(folder: Path) -> None:
    (folder / DELTA).unlink()


def add(folder: Path) -> None:
    (folder / "more.json").write_text("{}")


def add_a_pickle(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))


def cut(folder: Path) -> None:
    (folder / DELTA).write_bytes((folder / DELTA).read_bytes()[:-1])


def flip(folder: Path) -> None:
    content = bytearray((folder / DELTA).read_bytes())
    content[-1] ^= 1
    (folder / DELTA).write_bytes(content)


def link(folder: Path) -> None:
    shutil.move(folder / DELTA, folder.parent / "elsewhere")
    (folder / "scores.json").unlink()
    (folder / DELTA).symlink_to(folder.parent / "elsewhere")


def rewrite(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        manifest = json.loads((folder / manifests.NAME).read_bytes())
        change(manifest)
        (folder / manifests.NAME).write_bytes(manifests.encode(manifest))

    return apply


FOLDERS: Final[dict[str, Callable[[Path], None]]] = {
    "126 a listed file is absent": unlink,
    "126 a file that is not listed": add,
    "126 a size is wrong": cut,
    "126 a size in the manifest is wrong": rewrite(lambda manifest: manifest["files"][0].update(bytes=7)),
    "126 a file outside the folder": rewrite(lambda manifest: manifest["files"][0].update(name="../elsewhere")),
    "126 a file twice": rewrite(lambda manifest: manifest["files"].append(manifest["files"][0])),
    "126 no manifest": lambda folder: (folder / manifests.NAME).unlink(),
    "126 links for files": link,
    "131 a flipped byte": flip,
    "132 a pickle beside it": add_a_pickle,
}


@covers(126, 131, 132)
@pytest.mark.parametrize("change", FOLDERS.values(), ids=list(FOLDERS))
def test_a_folder_that_is_not_as_it_was_sealed_is_refused(published: Path, change: Callable[[Path], None]) -> None:
    manifests.verify(published)
    change(published)
    with pytest.raises(CorruptError):
        manifests.verify(published)


TENSORS: Final[dict[str, dict[str, torch.Tensor]]] = {
    "127 a name that is not expected": values(**{"b.q.values": torch.ones(4, 6)}),
    "127 a way up for a name": values(**{"../../x.values": torch.ones(4, 6)}),
    "127 a missing tensor": {"a.q.values": torch.ones(4, 6)},
    "127 another shape": values(**{"a.q.values": torch.ones(6, 4)}),
    "127 another kind of number": values(**{"a.q.values": torch.ones(4, 6, dtype=torch.int64)}),
    "127 halves": values(**{"a.q.values": torch.ones(4, 6, dtype=torch.float16)}),
    "129 NaN": values(**{"a.q.values": torch.full((4, 6), float("nan"))}),
    "129 one infinity": values(**{"a.v.values": torch.tensor([[1.0] * 6, [1.0] * 5 + [float("-inf")]])}),
}


@covers(127, 129)
@pytest.mark.parametrize("tensors", TENSORS.values(), ids=list(TENSORS))
def test_tensors_that_are_not_the_expected_ones_are_refused(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, str(tmp_path / DELTA), metadata=META)
    with pytest.raises(CorruptError):
        Delta.load(tmp_path / DELTA, shapes=SHAPES)


@covers(127)
def test_modules_that_the_base_model_does_not_have_are_refused(published: Path) -> None:
    assert Delta.load(published / DELTA, shapes=SHAPES).nnz == 36
    with pytest.raises(CorruptError):
        Delta.load(published / DELTA, shapes={**SHAPES, "a.q": (6, 4)})


def with_header(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


ENTRY: Final = b'{"dtype":"F32","shape":[4,6],"data_offsets":[0,96]}'
FILES: Final[dict[str, bytes]] = {
    "128 a name twice": with_header(b'{"a.q.values":%s,"a.q.values":%s}' % (ENTRY, ENTRY), bytes(96)),
    "130 a header of 9 MiB": with_header(b"{" + b" " * 9 * 1024 * 1024 + b"}"),
    "130 a header that says it is endless": (2**63).to_bytes(8, "little") + b"{}",
    "131 no file of the kind": b"PK\x03\x04" + bytes(100),
    "132 a pickle in its place": pickle.dumps({"a": 1}),
}


@covers(128, 130, 132)
@pytest.mark.parametrize("content", FILES.values(), ids=list(FILES))
def test_a_file_with_a_strange_header_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / DELTA).write_bytes(content)
    with pytest.raises(CorruptError):
        Delta.load(tmp_path / DELTA, shapes=SHAPES)


@covers(132)
def test_a_pickle_beside_a_base_model_is_left_behind(tmp_path: Path) -> None:
    source = tiny_llama(tmp_path / "source")
    (source / "pytorch_model.bin").write_bytes(b"\x80\x04trap")
    (source / "modeling_evil.py").write_text("raise SystemExit")
    (tmp_path / "shelf").mkdir()
    made = sources.materialise(f"folder:{source}", tmp_path / "shelf" / "base")
    assert (made / "config.json").is_file()
    assert not list(made.rglob("*.bin")) + list(made.rglob("*.py"))

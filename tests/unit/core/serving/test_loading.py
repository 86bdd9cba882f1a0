"""A version in memory: shared where nothing changed, refused where anything does not match."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.domain.errors import CorruptError, UnavailableError
from core.serving import clone
from core.serving.loading import VersionLoader
from core.storage import manifests
from core.storage.artefacts import LocalArtefactStore
from core.weights.fold import fold
from tests.tiny_models import tiny_llama
from tests.tiny_versions import SetSource, Shelf

Load = Callable[[Shelf], VersionLoader]


@pytest.fixture
def own_shelf(tmp_path: Path) -> Shelf:
    """Return a shelf that a test may damage."""
    return Shelf(tmp_path / "own", tiny_llama(tmp_path / "own" / "base"))


def test_untouched_tensors_are_shared_and_touched_ones_are_not(shelf: Shelf, load: Load) -> None:
    loader = load(shelf)
    original = loader.load(shelf.original())
    child = loader.load(shelf.child(shelf.original(), seed=1))
    folded = fold(shelf.loaded.model, shelf.deltas_of(shelf.child(shelf.original(), seed=1)))
    base_tensors = dict(original.module.named_parameters())
    for name, tensor in child.module.named_parameters():
        assert (tensor is base_tensors[name]) == (name not in folded)
        if name in folded:
            assert torch.equal(tensor, folded[name])


@pytest.mark.parametrize("name", ["shelf", "t5_shelf"])
def test_k_versions_cost_no_more_than_their_adapted_layers(
    name: str, load: Load, request: pytest.FixtureRequest
) -> None:
    shelf: Shelf = request.getfixturevalue(name)
    loader = load(shelf)
    versions = [shelf.original()]
    for seed in range(4):
        versions.append(shelf.child(versions[-1], seed=seed))
    modules = [loader.load(version).module for version in versions]
    base_bytes = clone.storage_bytes(modules[:1])
    adapted = sum(update.numel() * 4 for update in shelf.updates(seed=0).values())
    assert base_bytes == shelf.loaded.facts.size_bytes + _buffers(modules[0])
    assert clone.storage_bytes(modules) / base_bytes <= 1 + 1.05 * 4 * adapted / base_bytes


def _buffers(module: torch.nn.Module) -> int:
    return sum(buffer.numel() * buffer.element_size() for buffer in module.buffers())


def test_a_chain_is_folded_in_its_order(shelf: Shelf, load: Load) -> None:
    child = shelf.child(shelf.child(shelf.original(), seed=1), seed=2)
    live = load(shelf).load(child)
    for name, tensor in fold(shelf.loaded.model, shelf.deltas_of(child)).items():
        assert torch.equal(live.module.get_parameter(name), tensor)


def test_loading_leaves_the_base_as_it_was(shelf: Shelf, load: Load) -> None:
    loader = load(shelf)
    original = loader.load(shelf.original())
    before = {name: tensor.clone() for name, tensor in original.module.state_dict().items()}
    loader.load(shelf.child(shelf.original(), seed=3, scale=9.0))
    assert all(torch.equal(before[name], tensor) for name, tensor in original.module.state_dict().items())


def test_one_flipped_byte_in_a_delta_is_refused(own_shelf: Shelf, load: Load) -> None:
    child = own_shelf.child(own_shelf.original(), seed=1)
    _flip_a_byte(own_shelf.artefacts.path(child.chain[0].artefact) / "delta.safetensors")
    with pytest.raises(CorruptError, match=r"delta\.safetensors"):
        load(own_shelf).load(child)


def test_a_fetched_copy_that_rotted_is_fetched_again(own_shelf: Shelf, tmp_path: Path) -> None:
    child = own_shelf.child(own_shelf.original(), seed=1)
    cache = tmp_path / "cache"
    VersionLoader(artefacts=own_shelf.artefacts, cache=cache, device=torch.device("cpu")).load(child)
    _flip_a_byte(cache / child.chain[0].manifest_sha256 / "delta.safetensors")
    VersionLoader(artefacts=own_shelf.artefacts, cache=cache, device=torch.device("cpu")).load(child)


def test_one_bad_copy_does_not_condemn_a_version(own_shelf: Shelf, tmp_path: Path) -> None:
    child = own_shelf.child(own_shelf.original(), seed=1)

    class Flickering(LocalArtefactStore):
        """A store whose first copy arrives damaged."""

        fetched = 0

        def fetch(self, key: str, *, target: Path) -> None:
            super().fetch(key, target=target)
            self.fetched += 1
            if self.fetched == 1:
                (target / manifests.NAME).unlink()

    store = Flickering(own_shelf.artefacts_dir)
    VersionLoader(artefacts=store, cache=tmp_path / "cache", device=torch.device("cpu")).load(child)
    assert store.fetched == 2


def test_a_deleted_artefact_is_corrupt(own_shelf: Shelf, load: Load) -> None:
    child = own_shelf.child(own_shelf.original(), seed=1)
    own_shelf.artefacts.delete(child.chain[0].artefact)
    with pytest.raises(CorruptError, match="gone"):
        load(own_shelf).load(child)


def test_another_digest_than_published_is_refused(shelf: Shelf, load: Load) -> None:
    child = shelf.child(shelf.original(), seed=1)
    with pytest.raises(CorruptError, match="digest"):
        load(shelf).load(replace(child, digest="0" * 64))


def test_another_base_than_registered_is_refused_without_blaming_the_version(shelf: Shelf, load: Load) -> None:
    with pytest.raises(UnavailableError, match="base model"):
        load(shelf).load(replace(shelf.original(), base_digest="0" * 64))


def test_a_chain_with_a_link_left_out_is_refused(shelf: Shelf, load: Load) -> None:
    child = shelf.child(shelf.child(shelf.original(), seed=1), seed=2)
    with pytest.raises(CorruptError, match="another chain"):
        load(shelf).load(replace(child, chain=child.chain[1:]))


def test_a_chain_whose_last_link_vouches_for_it_loads_without_a_link_that_others_were_learned_on(
    shelf: Shelf, load: Load
) -> None:
    third = shelf.child(shelf.child(shelf.child(shelf.original(), seed=1), seed=2), seed=3)
    others = replace(third, chain=(third.chain[0], third.chain[2]))
    rebuilt = shelf.child(others, seed=9, scale=0.0)
    child = shelf.child(rebuilt, seed=4)
    loader = load(shelf)
    for version in (rebuilt, child):
        live = loader.load(version)
        folded = fold(shelf.loaded.model, shelf.deltas_of(version))
        assert all(torch.equal(live.module.get_parameter(name), tensor) for name, tensor in folded.items())
    assert rebuilt.digest != third.digest
    with pytest.raises(CorruptError, match="another chain"):
        load(shelf).load(others)


@pytest.mark.parametrize("file", ["delta.safetensors", "canary.safetensors"])
def test_a_manifest_that_leaves_a_file_out_is_refused(file: str, own_shelf: Shelf, load: Load) -> None:
    child = own_shelf.child(own_shelf.original(), seed=1)
    folder = own_shelf.artefacts.path(child.chain[0].artefact)
    (folder / file).unlink()
    manifest = json.loads((folder / manifests.NAME).read_bytes())
    (folder / manifests.NAME).unlink()
    sha256 = manifests.seal(folder, manifest)
    link = replace(child.chain[0], manifest_sha256=sha256)
    with pytest.raises(CorruptError, match="delta and its canary"):
        load(own_shelf).load(replace(child, chain=(link,)))


def test_wrong_answers_are_noticed_though_every_hash_fits(own_shelf: Shelf, load: Load) -> None:
    child, other = (own_shelf.child(own_shelf.original(), seed=seed, scale=3.0) for seed in (1, 2))
    folder, theirs = (own_shelf.artefacts.path(version.chain[0].artefact) for version in (child, other))
    (folder / "canary.safetensors").write_bytes((theirs / "canary.safetensors").read_bytes())
    manifest = json.loads((folder / manifests.NAME).read_bytes())
    (folder / manifests.NAME).unlink()
    link = replace(child.chain[0], manifest_sha256=manifests.seal(folder, manifest))
    with pytest.raises(CorruptError, match="canary logits deviate"):
        load(own_shelf).load(replace(child, chain=(link,)))


def test_artefacts_of_versions_that_are_gone_are_forgotten(shelf: Shelf, tmp_path: Path) -> None:
    loader = VersionLoader(artefacts=shelf.artefacts, cache=tmp_path / "cache", device=torch.device("cpu"))
    kept, gone = (shelf.child(shelf.original(), seed=seed) for seed in (5, 6))
    loader.load(kept)
    loader.load(gone)
    loader.prune({kept.chain[0].manifest_sha256})
    assert [folder.name for folder in (tmp_path / "cache").iterdir()] == [kept.chain[0].manifest_sha256]


def test_the_source_of_these_tests_is_a_source(source: SetSource) -> None:
    assert source.assignments() == []


def _flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-3] ^= 0x40
    file.write_bytes(bytes(content))

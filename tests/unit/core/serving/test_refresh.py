"""Live versions follow the registry; the old one answers until the new one is ready, and when it never is."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
import torch

from core.domain.errors import CorruptError, MissingError, NotReadyError, UnavailableError
from core.domain.ports import ArtefactStore
from core.serving.loading import LiveVersion, VersionLoader
from core.serving.meters import EngineMeters
from core.serving.refresh import Refresher
from core.serving.servable import Assignment, Servable
from core.serving.store import VersionStore
from tests.tiny_models import tiny_llama
from tests.tiny_versions import SetSource, Shelf

Load = Callable[[Shelf], VersionLoader]
MANY_BYTES = 10**12


class Following:
    """A refresher whose steps the test takes."""

    def __init__(self, source: SetSource, loader: VersionLoader, memory_bytes: int = MANY_BYTES) -> None:
        self.store = VersionStore()
        meters = EngineMeters(self.store)
        self.refresher = Refresher(
            store=self.store, source=source, loader=loader, memory_bytes=memory_bytes, meters=meters
        )

    def answering(self, reference: str) -> str | None:
        version = self.store.get(reference)
        return None if version is None else version.version_id


@pytest.fixture
def following(shelf: Shelf, source: SetSource, load: Load) -> Following:
    return Following(source, load(shelf))


@pytest.fixture
def running(following: Following) -> Iterator[Following]:
    """Return it with its loop running."""
    thread = Thread(target=following.refresher.run, kwargs={"poll_seconds": 0.02})
    thread.start()
    yield following
    following.refresher.stop()
    thread.join()


def test_a_model_answers_by_its_base_at_once(shelf: Shelf, source: SetSource, following: Following) -> None:
    original = shelf.original()
    reference = source.point("latest", original)
    following.refresher.step()
    assert following.answering(reference) == following.answering(original.version_id) == original.version_id


def test_an_alias_flips_once_the_new_version_is_ready(shelf: Shelf, source: SetSource, following: Following) -> None:
    original = shelf.original()
    reference = source.point("latest", original)
    following.refresher.step()
    held = following.store.get(reference)
    child = shelf.child(original, seed=1)
    source.point("latest", child)
    assert following.answering(reference) == original.version_id
    following.refresher.step()
    assert following.answering(reference) == child.version_id
    assert held is following.store.get(original.version_id)


def test_several_models_and_versions_of_one_base_live_side_by_side(
    shelf: Shelf, source: SetSource, following: Following
) -> None:
    one, two = shelf.original("mdl_a"), shelf.original("mdl_b")
    child, grandchild = shelf.child(one, seed=1), shelf.child(shelf.child(one, seed=1), seed=2)
    expected = {
        source.point("latest", grandchild): grandchild.version_id,
        source.point("stable", child): child.version_id,
        source.point("first", one): one.version_id,
        source.point("latest", two): two.version_id,
    }
    following.refresher.step()
    assert {reference: following.answering(reference) for reference in expected} == expected


def test_a_corrupt_version_is_reported_and_the_old_one_goes_on(tmp_path: Path, source: SetSource, load: Load) -> None:
    shelf = Shelf(tmp_path / "own", tiny_llama(tmp_path / "own" / "base"))
    following = Following(source, load(shelf))
    original = shelf.original()
    reference = source.point("latest", original)
    following.refresher.step()
    child = shelf.child(original, seed=1)
    delta = shelf.artefacts.path(child.chain[0].artefact) / "delta.safetensors"
    delta.write_bytes(delta.read_bytes()[:-1] + b"\x7f")
    source.point("latest", child)
    following.refresher.step()
    assert following.answering(reference) == original.version_id
    assert [version_id for version_id, _ in source.corrupt] == [child.version_id]
    following.refresher.step()
    assert len(source.corrupt) == 1
    source.point("latest", original)
    following.refresher.step()
    assert following.answering(reference) == original.version_id


def test_an_alias_that_is_gone_answers_no_more(shelf: Shelf, source: SetSource, following: Following) -> None:
    reference = source.point("latest", shelf.original())
    following.refresher.step()
    source.aliases = {}
    following.refresher.step()
    assert following.answering(reference) is None


def test_the_old_versions_answer_while_the_registry_is_away(shelf: Shelf, load: Load) -> None:
    class Flickering(SetSource):
        """A registry that can be away."""

        away = False

        def assignments(self) -> list[Assignment]:
            if self.away:
                raise UnavailableError("away")
            return list(super().assignments())

    flickering = Flickering()
    following = Following(flickering, load(shelf))
    reference = flickering.point("latest", shelf.original())
    following.refresher.step()
    flickering.away = True
    following.refresher.step()
    assert following.answering(reference) is not None


def test_an_explicit_version_is_loaded_when_it_is_asked_for(
    shelf: Shelf, source: SetSource, running: Following
) -> None:
    child = shelf.child(shelf.original(), seed=4)
    source.versions[child.version_id] = child
    live = running.refresher.acquire(child.version_id, timeout_seconds=30)
    assert live.version_id == child.version_id


@pytest.mark.parametrize("reference", ["ver_unknown", "mdl_a:unknown"])
def test_what_is_not_in_the_registry_is_missing(reference: str, running: Following) -> None:
    with pytest.raises(MissingError):
        running.refresher.acquire(reference, timeout_seconds=30)


def test_waiting_for_a_version_is_bounded(following: Following) -> None:
    with pytest.raises(NotReadyError):
        following.refresher.acquire("ver_slow", timeout_seconds=0.01)


def test_who_waits_for_a_corrupt_version_is_told(tmp_path: Path, source: SetSource, load: Load) -> None:
    shelf = Shelf(tmp_path / "own", tiny_llama(tmp_path / "own" / "base"))
    child = shelf.child(shelf.original(), seed=1)
    shelf.artefacts.delete(child.chain[0].artefact)
    source.versions[child.version_id] = child
    following = Following(source, load(shelf))
    thread = Thread(target=following.refresher.run, kwargs={"poll_seconds": 0.02})
    thread.start()
    with pytest.raises(CorruptError):
        following.refresher.acquire(child.version_id, timeout_seconds=30)
    following.refresher.stop()
    thread.join()


def test_a_passing_failure_is_not_called_corrupt_and_is_tried_again_later(
    shelf: Shelf, source: SetSource, tmp_path: Path
) -> None:
    class Away(VersionLoader):
        """A loader whose disk fails."""

        def load(self, servable: Servable) -> LiveVersion:
            raise OSError(5, f"no disk for {servable.version_id}")

    store: ArtefactStore = shelf.artefacts
    following = Following(source, Away(artefacts=store, cache=tmp_path, device=torch.device("cpu")))
    reference = source.point("latest", shelf.original())
    following.refresher.step()
    assert following.answering(reference) is None
    assert source.corrupt == []


def test_no_version_is_called_corrupt_for_its_base(shelf: Shelf, source: SetSource, following: Following) -> None:
    child = shelf.child(shelf.original(), seed=1)
    reference = source.point("latest", replace(child, base_digest="0" * 64))
    following.refresher.step()
    assert following.answering(reference) is None
    assert source.corrupt == []


def test_a_cache_that_cannot_be_pruned_stops_nothing(shelf: Shelf, source: SetSource, tmp_path: Path) -> None:
    class Stuck(VersionLoader):
        """A loader that cannot remove anything."""

        def prune(self, live: set[str]) -> None:
            raise OSError(5, f"no disk for {live}")

    following = Following(source, Stuck(artefacts=shelf.artefacts, cache=tmp_path, device=torch.device("cpu")))
    reference = source.point("latest", shelf.original())
    following.refresher.step()
    assert following.answering(reference) is not None


def test_versions_beyond_the_budget_leave_the_least_used_first(shelf: Shelf, source: SetSource, load: Load) -> None:
    original = shelf.original()
    children = [shelf.child(original, seed=seed) for seed in range(3)]
    size = sum(update.numel() * 4 for update in shelf.updates(seed=0).values())
    loader = load(shelf)
    base_bytes = _base_bytes(loader, shelf)
    following = Following(source, loader, memory_bytes=base_bytes + 2 * size)
    source.point("latest", original)
    references = [source.point(f"a{n}", child) for n, child in enumerate(children)]
    following.refresher.step()
    assert [following.answering(reference) is not None for reference in references] == [True, True, False]
    following.store.get(references[0])
    wanted = children[2].version_id
    thread = Thread(target=following.refresher.run, kwargs={"poll_seconds": 0.02})
    thread.start()
    live = following.refresher.acquire(references[2], timeout_seconds=30)
    following.refresher.stop()
    thread.join()
    assert live.version_id == wanted
    assert following.answering(references[1]) is None
    assert following.store.unique_bytes() <= base_bytes + 2 * size


def _base_bytes(loader: VersionLoader, shelf: Shelf) -> int:
    store = VersionStore()
    store.put(loader.load(shelf.original()))
    return store.unique_bytes()

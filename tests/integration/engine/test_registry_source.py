"""The registry as the engine sees it, on both databases."""

import pytest

from core.domain.errors import ConflictError, MissingError
from tests.integration.engine.conftest import Studio
from worker.compute.registry_source import RegistrySource


def test_every_alias_comes_with_all_that_loading_takes(studio: Studio) -> None:
    zero = studio.model("desk")
    one = studio.learn("desk", "task-1", seed=1)
    two = studio.learn("desk", "task-2", seed=2)
    assignments = {each.reference: each.servable for each in RegistrySource(studio.registry).assignments()}
    assert assignments[f"{zero.model_id}:stable"].chain == ()
    latest = assignments[f"{zero.model_id}:latest"]
    assert (latest.version_id, latest.digest, latest.base_path) == (two.id, two.digest, studio.shelf.base_path)
    assert [link.version_id for link in latest.chain] == [one.id, two.id]


def test_a_corrupt_version_is_taken_out_of_service(studio: Studio) -> None:
    zero = studio.model("desk")
    one = studio.learn("desk", "task-1", seed=1)
    source = RegistrySource(studio.registry)
    source.mark_corrupt(one.id, "a byte")
    assert studio.head("desk").id == zero.id
    with pytest.raises(ConflictError):
        source.servable(one.id)


def test_an_unknown_version_is_missing(studio: Studio) -> None:
    with pytest.raises(MissingError):
        RegistrySource(studio.registry).servable("ver_none")

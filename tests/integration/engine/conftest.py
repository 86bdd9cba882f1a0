"""A tiny base model in a real registry, whose models get published versions without training."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from stage import PROJECT, Wakes, claim, fence_of, submit

from core.domain.manifest import Provenance
from core.domain.records import Version
from core.registry.work import Registry
from core.services import base_models, models, trainer_specs, versions
from core.serving.servable import Servable
from tests.tiny_models import tiny_llama
from tests.tiny_versions import Shelf
from worker.compute.registry_source import RegistrySource


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@dataclass
class Studio:
    """A registry with a ready base model, and a way to publish versions of its models."""

    registry: Registry
    shelf: Shelf

    def model(self, name: str) -> Version:
        """Create a model; return its version 0."""
        with self.registry.write() as work:
            models.create(work, project_id=PROJECT, name=name, base_model="tiny", method={})
            return versions.resolve(work, project_id=PROJECT, reference=name)

    def learn(self, model: str, task: str, *, seed: int) -> Version:
        """Post a task, claim it and publish an artefact for it."""
        submit(self.registry, task, model=model)
        with self.registry.write() as work:
            job = claim(work)
            plan = trainer_specs.build(work, job=job)
        made = self.shelf.publish(
            self.servable(plan.parent_version_id),
            seed=seed,
            provenance=Provenance.model_validate(plan.provenance),
            recipe=dict(plan.recipe),
            template=dict(plan.template),
        )
        with self.registry.write() as work:
            return versions.publish(
                work, job_id=job.id, fence=fence_of(job), manifest=made.manifest, scores=[], artefact=made.key
            )

    def servable(self, version_id: str) -> Servable:
        """Return a version as the engine sees it."""
        return RegistrySource(self.registry).servable(version_id)

    def head(self, model: str) -> Version:
        """Return what `latest` names."""
        with self.registry.read() as work:
            return versions.resolve(work, project_id=PROJECT, reference=model)


@pytest.fixture
def studio(registry: Registry, tmp_path: Path) -> Studio:
    """Return a studio whose artefacts lie in the data folder ``tmp_path / "data"``."""
    shelf = Shelf(tmp_path / "data", tiny_llama(tmp_path / "base"))
    with registry.write() as work:
        base_models.add(work, name="tiny", source=f"folder:{tmp_path / 'base'}", dispatcher=Wakes())
    with registry.write() as work:
        job = claim(work)
        facts, path = shelf.loaded.facts, str(shelf.base_path)
        base_models.record_facts(work, job=job, fence=fence_of(job), facts=facts, path=path)
    return Studio(registry, shelf)

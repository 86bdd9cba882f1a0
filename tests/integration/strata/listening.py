"""A running API and what lies behind it."""

from dataclasses import dataclass
from typing import Any

import stage

from core.registry.work import Registry
from strata import Client
from strata.client.results import Job


@dataclass(frozen=True, kw_only=True)
class Listening:
    """A client's side and the worker's side of one service."""

    url: str
    client: Client
    registry: Registry
    engine: Any

    def learn(self, job: Job) -> None:
        """Do what a worker does, at once: claim the job and publish its version with scores."""
        with self.registry.write() as work:
            claimed = stage.claim(work)
            assert claimed.id == job.id
            scores = [
                stage.result(job.task_id or "", 0.875),
                stage.result(job.task_id or "", 0.125, subject="base"),
                stage.result(job.task_id or "", 0.25, subject="base", metric="option_likelihood"),
            ]
            self.engine.version_id = stage.publish(work, claimed, scores).id

"""The database's clock is somebody's clock too: it may be set."""

import time

from stage import claimed, submit

from core.domain.records import Model
from core.registry.work import Registry
from worker.control.registry_desk import RegistryDesk


def test_a_lease_from_before_the_clock_was_put_back_runs_out_all_the_same(registry: Registry, desk: Model) -> None:
    submit(registry, "first", model=desk.name)
    given_an_hour_ago = claimed(registry, lease_seconds=3600)
    sweeper = RegistryDesk(registry, owner="other", lease_seconds=0.2, barren_limit=3)

    assert sweeper.sweep() == 0
    time.sleep(0.4)

    assert sweeper.sweep() == 1
    assert claimed(registry).id == given_an_hour_ago.id

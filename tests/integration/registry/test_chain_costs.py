"""What stands on a long chain is asked for in as few queries as what stands on a short one, and each link is read once."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from stage import PROJECT, claimed, learn, publish, submit

from core.registry.work import Registry, Work
from core.services import chains, estimates, rebuilds, serving, trainer_specs, versions

pytestmark = pytest.mark.usefixtures("desk")

SHORT, LONG = 2, 6


def heard(registry: Registry, ask: Callable[[Work], object]) -> list[tuple[str, int]]:
    """Return the statements of a reading work, each with how many values it was asked with."""
    asked: list[tuple[str, int]] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        asked.append((statement, len(values)))

    with registry.read() as work:
        event.listen(work.connection, "before_cursor_execute", note)
        ask(work)
        event.remove(work.connection, "before_cursor_execute", note)
    return asked


def costs(registry: Registry, name: str) -> dict[str, list[tuple[str, int]]]:
    """Return what is heard of every question about the chain that `latest` names; one more task is learned."""
    submit(registry, name)
    job = claimed(registry)
    with registry.read() as work:
        head = versions.resolve(work, project_id=PROJECT, reference="desk")
    asked = {
        "plan": heard(registry, lambda work: trainer_specs.build(work, job=job)),
        "estimate": heard(registry, lambda work: estimates.estimate(work, job)),
        "serving": heard(registry, serving.serving),
        "ready": heard(registry, lambda work: chains.is_ready(work, head)),
        "learned": heard(registry, lambda work: rebuilds.learned_tasks(work, head.chain)),
    }
    with registry.write() as work:
        publish(work, job)
    return asked


def chains_read(asked: list[tuple[str, int]]) -> int:
    """Return of how many versions the chains were read."""
    return sum(n for statement, n in asked if "FROM version_chain" in statement)


def test_questions_about_a_chain_are_as_many_for_a_long_one_and_read_no_chains_of_its_links(registry: Registry) -> None:
    for n in range(SHORT):
        learn(registry, f"task-{n}")
    of_short = costs(registry, "short")
    for n in range(SHORT, LONG):
        learn(registry, f"task-{n}")
    of_long = costs(registry, "long")
    assert {name: len(asked) for name, asked in of_long.items()} == {
        name: len(asked) for name, asked in of_short.items()
    }
    read = {name: chains_read(asked) for name, asked in of_long.items()}
    # `latest` and `stable` are two versions; a job stands on one, beside the base.
    assert read == {"plan": read["plan"], "estimate": 0, "serving": 2, "ready": 0, "learned": 0}
    assert read["plan"] == chains_read(of_short["plan"]) <= 2

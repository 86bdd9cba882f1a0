"""A claim from a deep queue, and what a commit costs on this disk at all."""

import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from sqlalchemy import Column, Connection, MetaData, Table, Text, event, insert, select, text

from benchmarks.service.installation import Installation, furnish
from benchmarks.service.load import milliseconds
from core.registry import queue
from core.registry.tables import JOB
from core.registry.work import Registry
from core.services import claims, models
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from migrations.commands import upgrade
from tests.stage import submit

LINES: Final = 100
# Of these the claim must make use; without them it reads the whole table.
INDEXES: Final = ("job_queue", "job_line", "job_one_running")
# SQLite also says SCAN of an index that is read in its order.
_SCAN: Final = re.compile(r"SCAN job$|Seq Scan on job\b", re.MULTILINE)
_ROW: Final = Table("row", MetaData(), Column("body", Text))


class WrongPlanError(Exception):
    """The database would not do as it should; the text is its plan."""


def deep_queue(service: Installation, *, queued: int, rounds: int) -> dict[str, Any]:
    """Claim from ``queued`` jobs of 100 models, and fail each so that its model is free again.

    Raises:
        WrongPlanError: the claim's query does not use the indexes of the queue.
        LookupError: there was nothing to claim.
    """
    url = service.new_database("claims")
    upgrade(url)
    with closing(Registry(url)) as registry:
        furnish(registry, models_made=LINES)
        _fill(registry, queued)
        with registry.write() as work:
            work.connection.execute(text("ANALYZE"))
        _require_indexes(_plan(registry))
        seconds = []
        for _ in range(rounds):
            began = time.perf_counter()
            with registry.write() as work:
                job = claims.claim(work, owner="bench", lease_seconds=60)
            seconds.append(time.perf_counter() - began)
            if job is None or job.fence is None:
                raise LookupError("there was nothing to claim")
            with registry.write() as work:
                claims.fail(work, job_id=job.id, fence=job.fence, code="crashed", detail="")
    return {
        "queued": queued,
        "p50_ms": milliseconds(seconds, 50),
        "p99_ms": milliseconds(seconds, 99),
        "plan": [*INDEXES],
    }


def commits(service: Installation, *, seconds: float) -> dict[str, float]:
    """Insert one small row a transaction, one after another, over the registry's own connection."""
    with closing(Registry(service.new_database("commits"))) as registry:
        with registry.write() as work:
            _ROW.create(work.connection)
        done, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            with registry.write() as work:
                work.connection.execute(insert(_ROW).values(body="x" * 200))
            done += 1
        return {"per_second": round(done / (time.perf_counter() - began), 1)}


def _require_indexes(plan: str) -> None:
    if _SCAN.search(plan) or not all(index in plan for index in INDEXES):
        raise WrongPlanError(plan)


def _fill(registry: Registry, queued: int) -> None:
    """Copy one job that was posted as usual into every model's line."""
    submit(registry, "sample", model="model-0")
    with registry.write() as work:
        sample = dict(work.connection.execute(select(JOB).where(JOB.c.kind == "train")).mappings().one())
        ids = [models.get(work, project_id=PROJECT, reference=f"model-{number}").id for number in range(LINES)]
        rows = [
            sample
            | {
                "id": f"job_{number:032x}",
                "model_id": ids[number % LINES],
                "seq": 10 + number,
                "created_ms": sample["created_ms"] + number,
            }
            for number in range(queued - 1)
        ]
        work.connection.execute(insert(JOB), rows)


def _plan(registry: Registry) -> str:
    """Return how the database would carry out both queries by which a claim looks for its job."""
    with registry.rehearse() as work:
        explain = "EXPLAIN QUERY PLAN" if work.connection.dialect.name == "sqlite" else "EXPLAIN"
        with _told(work.connection) as asked:
            for query in (queue.OLDEST, queue.CANDIDATES):
                work.connection.execute(query)
        looks = list(asked)
        plans = [work.connection.exec_driver_sql(f"{explain} {each}", parameters).all() for each, parameters in looks]
    return "\n".join(" ".join(map(str, row)) for plan in plans for row in plan)


@contextmanager
def _told(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    """Note what is asked over a connection."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(connection, "before_cursor_execute", note)

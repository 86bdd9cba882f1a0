"""Rows of `metric` (points of a job's curves), `score` (cells of the score matrix) and `general_score`."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import select

from core.domain.records import MetricPoint
from core.domain.scores import Score
from core.registry.measure_tables import GENERAL_SCORE, METRIC, SCORE
from core.registry.rows import columns, upsert
from core.registry.work import Work


def record_points(work: Work, *, project_id: str, job_id: str, points: Iterable[MetricPoint]) -> None:
    """Store points of a job's curves; a step that is run again replaces its point."""
    owner = {"project_id": project_id, "job_id": job_id}
    rows = {(point.series, point.step): point for point in points}
    upsert(
        work,
        METRIC,
        rows=[{**owner, "series": point.series, "step": point.step, "value": point.value} for point in rows.values()],
    )


def points(work: Work, *, job_id: str, series: Collection[str]) -> tuple[MetricPoint, ...]:
    """Return a job's points by series and step; no ``series`` means all."""
    query = select(*columns(METRIC, MetricPoint)).where(METRIC.c.job_id == job_id)
    if series:
        query = query.where(METRIC.c.series.in_(series))
    rows = work.connection.execute(query.order_by(METRIC.c.series, METRIC.c.step))
    return tuple(MetricPoint(**row._asdict()) for row in rows)


def record_scores(work: Work, *, project_id: str, scores: Iterable[Score]) -> None:
    """Store scores; measuring again replaces."""
    rows = {(score.version_id, score.task_id, score.metric): score for score in scores}
    of_tasks = [_row(score, project_id) for score in rows.values() if score.task_id is not None]
    general = [_row(score, project_id) for score in rows.values() if score.task_id is None]
    upsert(work, SCORE, rows=of_tasks)
    upsert(work, GENERAL_SCORE, rows=[{key: row[key] for key in row if key != "task_id"} for row in general])


def scores(
    work: Work, version_ids: Collection[str], *, task_id: str | None = None, with_rows: bool = False
) -> tuple[Score, ...]:
    """Return every score of some versions on one task, or on all; what each row came to only if it is asked for."""
    query = select(*columns(SCORE, Score, without=_left_out(with_rows=with_rows)))
    query = query.where(SCORE.c.version_id.in_(version_ids))
    rows = work.connection.execute(query if task_id is None else query.where(SCORE.c.task_id == task_id))
    return tuple(Score(**row._asdict()) for row in rows)


def general_scores(work: Work, version_ids: Collection[str], *, with_rows: bool = False) -> tuple[Score, ...]:
    """Return every score of some versions on the general text; rows as in `scores`."""
    query = select(*columns(GENERAL_SCORE, Score, without=_left_out(with_rows=with_rows) | {"task_id"}))
    rows = work.connection.execute(query.where(GENERAL_SCORE.c.version_id.in_(version_ids)))
    return tuple(Score(task_id=None, **row._asdict()) for row in rows)


def _row(score: Score, project_id: str) -> dict[str, Any]:
    values = {field.name: getattr(score, field.name) for field in fields(score)}
    return values | {"project_id": project_id, "outcomes": _short(score.outcomes), "sizes": _short(score.sizes)}


def _short(numbers: Sequence[float] | None) -> list[float] | None:
    """Return numbers as JSON writes them shortest: 1 rather than 1.0."""
    return None if numbers is None else [int(number) if number == int(number) else number for number in numbers]


def _left_out(*, with_rows: bool) -> frozenset[str]:
    return frozenset() if with_rows else frozenset({"outcomes", "sizes"})

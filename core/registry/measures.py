"""Rows of `metric` (points of a job's curves) and `score` (cells of the score matrix)."""

from collections.abc import Collection, Iterable

from sqlalchemy import select

from core.domain.records import MetricPoint, Score
from core.registry.rows import columns, upsert
from core.registry.tables import METRIC, SCORE
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
    upsert(
        work,
        SCORE,
        rows=[
            {
                "project_id": project_id,
                "version_id": score.version_id,
                "task_id": score.task_id,
                "metric": score.metric,
                "value": score.value,
                "n_rows": score.n_rows,
            }
            for score in rows.values()
        ],
    )


def scores(work: Work, version_ids: Collection[str]) -> tuple[Score, ...]:
    """Return every score of some versions."""
    query = select(*columns(SCORE, Score)).where(SCORE.c.version_id.in_(version_ids))
    return tuple(Score(**row._asdict()) for row in work.connection.execute(query))

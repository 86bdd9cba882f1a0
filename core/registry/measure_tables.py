"""The tables of what was measured: points of a job's curves, and scores of versions."""

from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Column, Double, String, Table

from core.registry.columns import belongs, project_column
from core.registry.tables import PROJECT


def _score_columns() -> tuple[Column[Any], ...]:
    """Return what is kept of every score; all but the value and its count is null in rows of earlier releases."""
    return (
        Column("value", Double, nullable=False),
        Column("n_rows", BigInteger, nullable=False),
        Column("low", Double),
        Column("high", Double),
        Column("chance", Double),
        Column("rows_sha256", String(64)),
        Column("outcomes", JSON(none_as_null=True)),
        Column("sizes", JSON(none_as_null=True)),
    )


METRIC: Final = Table(
    "metric",
    PROJECT.metadata,
    project_column(),
    Column("job_id", String(64), primary_key=True),
    Column("series", String(64), primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("value", Double, nullable=False),
    belongs("job_id", "job"),
)

SCORE: Final = Table(
    "score",
    PROJECT.metadata,
    project_column(),
    Column("version_id", String(64), primary_key=True),
    Column("task_id", String(64), primary_key=True),
    Column("metric", String(64), primary_key=True),
    *_score_columns(),
    belongs("version_id", "version"),
    belongs("task_id", "task"),
)

# Of no task: how well a version still reads the text that comes with Strata.
GENERAL_SCORE: Final = Table(
    "general_score",
    PROJECT.metadata,
    project_column(),
    Column("version_id", String(64), primary_key=True),
    Column("metric", String(64), primary_key=True),
    *_score_columns(),
    belongs("version_id", "version"),
)

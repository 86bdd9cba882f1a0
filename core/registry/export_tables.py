"""The table of exports: versions as files that other software opens."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.domain.exports import ExportDtype, ExportFormat
from core.registry.columns import belongs, id_column, one_of, project_column
from core.registry.measure_tables import SCORE

EXPORT: Final = Table(
    "export",
    SCORE.metadata,
    id_column(),
    project_column(),
    Column("model_id", String(64), nullable=False),
    Column("version_id", String(64), nullable=False),
    Column("format", String(16), nullable=False),
    Column("dtype", String(16), nullable=False),
    # The latest of its jobs: one that failed may be tried again.
    Column("job_id", String(64), nullable=False),
    Column("manifest_sha256", String(64)),
    Column("artefact", Text),
    Column("size_bytes", BigInteger),
    Column("files", JSON(none_as_null=True)),
    Column("parity", JSON(none_as_null=True)),
    Column("created_ms", BigInteger, nullable=False),
    Column("ready_ms", BigInteger),
    # Asked again, it is the same one.
    UniqueConstraint("version_id", "format", "dtype"),
    belongs("model_id", "model"),
    belongs("job_id", "job"),
    ForeignKeyConstraint(["model_id", "version_id"], ["version.model_id", "version.id"]),
    one_of("format", ExportFormat),
    one_of("dtype", ExportDtype),
    CheckConstraint("manifest_sha256 IS NULL OR length(manifest_sha256) = 64", name="manifest_sha256_whole"),
    CheckConstraint(
        "(ready_ms IS NULL) = (artefact IS NULL) AND (ready_ms IS NULL) = (manifest_sha256 IS NULL) "
        "AND (ready_ms IS NULL) = (size_bytes IS NULL) AND (ready_ms IS NULL) = (files IS NULL) "
        "AND (ready_ms IS NULL) = (parity IS NULL)",
        name="ready_whole",
    ),
    Index("export_project", "project_id", "id"),
)

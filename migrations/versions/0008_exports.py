"""versions can be exported."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0008"
down_revision: Final = "0007"


def upgrade() -> None:
    op.create_table(
        "export",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("model_id", sa.String(length=64), nullable=False),
        sa.Column("version_id", sa.String(length=64), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("dtype", sa.String(length=16), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("manifest_sha256", sa.String(length=64), nullable=True),
        sa.Column("artefact", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("files", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("parity", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("ready_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("format IN ('adapter', 'delta', 'gguf', 'merged')", name=op.f("export_format_known")),
        sa.CheckConstraint("dtype IN ('f16', 'f32', 'stored')", name=op.f("export_dtype_known")),
        sa.CheckConstraint(
            "manifest_sha256 IS NULL OR length(manifest_sha256) = 64", name=op.f("export_manifest_sha256_whole")
        ),
        sa.CheckConstraint(
            "(ready_ms IS NULL) = (artefact IS NULL) AND (ready_ms IS NULL) = (manifest_sha256 IS NULL) "
            "AND (ready_ms IS NULL) = (size_bytes IS NULL) AND (ready_ms IS NULL) = (files IS NULL) "
            "AND (ready_ms IS NULL) = (parity IS NULL)",
            name=op.f("export_ready_whole"),
        ),
        sa.ForeignKeyConstraint(
            ["model_id", "version_id"], ["version.model_id", "version.id"], name="export_model_id_version_id_fk"
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "job_id"], ["job.project_id", "job.id"], name="export_project_id_job_id_fk"
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"], ["model.project_id", "model.id"], name="export_project_id_model_id_fk"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="export_project_id_fk"),
        sa.PrimaryKeyConstraint("id", name="export_pk"),
        sa.UniqueConstraint("version_id", "format", "dtype", name="export_version_id_format_dtype_key"),
    )
    op.create_index("export_project", "export", ["project_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("export_project", table_name="export")
    op.drop_table("export")

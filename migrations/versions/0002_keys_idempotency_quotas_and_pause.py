"""keys, idempotency, quotas and pause."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=16), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_used_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("api_key_sha256_whole")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("api_key_project_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("api_key_pk")),
        sa.UniqueConstraint("sha256", name=op.f("api_key_sha256_key")),
    )
    op.create_table(
        "idempotency",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("route", sa.String(length=255), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(status IS NULL) = (body IS NULL)", name=op.f("idempotency_answered_whole")),
        sa.CheckConstraint("length(request_sha256) = 64", name=op.f("idempotency_request_sha256_whole")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("idempotency_project_id_fk")),
        sa.PrimaryKeyConstraint("project_id", "key", name=op.f("idempotency_pk")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.add_column(sa.Column("pause_requested", sa.Boolean(), server_default=sa.false(), nullable=False))

    with op.batch_alter_table("project", schema=None) as batch_op:
        batch_op.add_column(sa.Column("max_open_jobs", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("max_bytes", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("max_requests_per_minute", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("project", schema=None) as batch_op:
        batch_op.drop_column("max_requests_per_minute")
        batch_op.drop_column("max_bytes")
        batch_op.drop_column("max_open_jobs")

    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_column("pause_requested")

    op.drop_table("idempotency")
    op.drop_table("api_key")

"""scores keep the outcomes of their rows, intervals and what the rows were; general ability has scores too."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0006"
down_revision: Final = "0005"


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("chance", sa.Double(), nullable=True),
        sa.Column("rows_sha256", sa.String(length=64), nullable=True),
        sa.Column("outcomes", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("sizes", sa.JSON(none_as_null=True), nullable=True),
    ]


def upgrade() -> None:
    for column in _columns():
        op.add_column("score", column)
    op.create_table(
        "general_score",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("version_id", sa.String(length=64), nullable=False),
        sa.Column("metric", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        *_columns(),
        sa.ForeignKeyConstraint(
            ["project_id", "version_id"],
            ["version.project_id", "version.id"],
            name="general_score_project_id_version_id_fk",
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="general_score_project_id_fk"),
        sa.PrimaryKeyConstraint("version_id", "metric", name="general_score_pk"),
    )


def downgrade() -> None:
    op.drop_table("general_score")
    with op.batch_alter_table("score", schema=None) as batch_op:
        for column in reversed(_columns()):
            batch_op.drop_column(column.name)

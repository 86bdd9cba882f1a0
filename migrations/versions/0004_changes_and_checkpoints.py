"""events have ids that sort by time; jobs remember their furthest checkpoint; the queue is counted by its index."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"

_CHANGES: Final = "kind NOT IN ('checkpoint', 'phase', 'progress')"
_HEX: Final = {
    "sqlite": "printf('%012x', event.at_ms) || printf('%020x', placed.place)",
    "postgresql": "lpad(to_hex(event.at_ms), 12, '0') || lpad(to_hex(placed.place), 20, '0')",
}


def _index(name: str, *columns: str, where: str) -> None:
    op.create_index(name, "job", [*columns], sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        # A registry of some age has many events.
        op.execute("SET LOCAL statement_timeout = 0")
    op.drop_index("job_queue", table_name="job")
    _index("job_queue", "created_ms", "id", "project_id", "model_id", where="state = 'queued'")
    _index("job_paused", "project_id", "model_id", "seq", where="state = 'paused'")
    op.add_column("job", sa.Column("checkpoint_step", sa.BigInteger(), nullable=True))
    op.add_column("event", sa.Column("id", sa.String(length=64), nullable=True))
    op.execute(
        f"UPDATE event SET id = 'evt_' || {_HEX[dialect]} FROM "  # noqa: S608 - no input
        "(SELECT subject_id, n, row_number() OVER (ORDER BY at_ms, subject_id, n) AS place FROM event) AS placed "
        "WHERE placed.subject_id = event.subject_id AND placed.n = event.n"
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.alter_column("id", existing_type=sa.String(length=64), nullable=False)
    op.create_index(
        "event_change",
        "event",
        ["project_id", "id"],
        sqlite_where=sa.text(_CHANGES),
        postgresql_where=sa.text(_CHANGES),
    )


def downgrade() -> None:
    op.drop_index("event_change", table_name="event")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_column("id")

    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_column("checkpoint_step")

    op.drop_index("job_paused", table_name="job")
    op.drop_index("job_queue", table_name="job")
    _index("job_queue", "created_ms", "id", where="state = 'queued'")

"""a paused job keeps its place in its model's line; idempotent answers are found by their age."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"


def _index(name: str, *columns: str, where: str, unique: bool = False) -> None:
    op.create_index(
        name, "job", [*columns], unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )


def upgrade() -> None:
    op.drop_index("job_one_active", table_name="job")
    op.drop_index("job_line", table_name="job")
    _index("job_one_running", "model_id", where="state = 'running'", unique=True)
    _index("job_line", "model_id", "seq", where="state IN ('paused', 'queued')")
    _index("job_modelless", "created_ms", where="state = 'queued' AND model_id IS NULL")
    op.create_index("idempotency_age", "idempotency", ["created_ms"])


def downgrade() -> None:
    op.drop_index("idempotency_age", table_name="idempotency")
    op.drop_index("job_modelless", table_name="job")
    op.drop_index("job_line", table_name="job")
    op.drop_index("job_one_running", table_name="job")
    _index("job_line", "model_id", "seq", where="state = 'queued'")
    _index("job_one_active", "model_id", where="state IN ('paused', 'running')", unique=True)

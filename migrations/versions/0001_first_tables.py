"""first tables."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None


def upgrade() -> None:
    op.create_table(
        "base_model",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=128), nullable=True),
        sa.Column("facts", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state <> 'ready' OR (digest IS NOT NULL AND facts IS NOT NULL AND path IS NOT NULL)",
            name=op.f("base_model_ready_is_inspected"),
        ),
        sa.CheckConstraint("state IN ('failed', 'pending', 'ready')", name=op.f("base_model_state_known")),
        sa.PrimaryKeyConstraint("id", name="base_model_pk"),
        sa.UniqueConstraint("name", name="base_model_name_key"),
    )
    op.create_table(
        "project",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="project_pk"),
        sa.UniqueConstraint("name", name="project_name_key"),
    )
    op.create_table(
        "dataset",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.String(length=64), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("dataset_sha256_whole")),
        sa.CheckConstraint("n_rows > 0", name=op.f("dataset_n_rows_positive")),
        sa.CheckConstraint("size_bytes > 0", name=op.f("dataset_size_bytes_positive")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="dataset_project_id_fk"),
        sa.PrimaryKeyConstraint("id", name="dataset_pk"),
        sa.UniqueConstraint("project_id", "id", name="dataset_project_id_id_key"),
    )
    op.create_index(
        "dataset_living_content",
        "dataset",
        ["project_id", "sha256"],
        unique=True,
        sqlite_where=sa.text("deleted_ms IS NULL"),
        postgresql_where=sa.text("deleted_ms IS NULL"),
    )
    op.create_table(
        "event",
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("from_state", sa.String(length=16), nullable=True),
        sa.Column("to_state", sa.String(length=16), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="event_project_id_fk"),
        sa.PrimaryKeyConstraint("subject_id", "n", name="event_pk"),
    )
    op.create_table(
        "model",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("base_model_id", sa.String(length=64), nullable=False),
        sa.Column("method", sa.JSON(), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.Column("next_number", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["base_model_id"], ["base_model.id"], name="model_base_model_id_fk"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="model_project_id_fk"),
        sa.PrimaryKeyConstraint("id", name="model_pk"),
        sa.UniqueConstraint("project_id", "id", name="model_project_id_id_key"),
    )
    op.create_index(
        "model_living_name",
        "model",
        ["project_id", "name"],
        unique=True,
        sqlite_where=sa.text("deleted_ms IS NULL"),
        postgresql_where=sa.text("deleted_ms IS NULL"),
    )
    op.create_table(
        "task",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("model_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("dataset_id", sa.String(length=64), nullable=False),
        sa.Column("eval_dataset_id", sa.String(length=64), nullable=True),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("template", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "dataset_id"], ["dataset.project_id", "dataset.id"], name="task_project_id_dataset_id_fk"
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "eval_dataset_id"],
            ["dataset.project_id", "dataset.id"],
            name="task_project_id_eval_dataset_id_fk",
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"], ["model.project_id", "model.id"], name="task_project_id_model_id_fk"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="task_project_id_fk"),
        sa.PrimaryKeyConstraint("id", name="task_pk"),
        sa.UniqueConstraint("model_id", "name", name="task_model_id_name_key"),
        sa.UniqueConstraint("project_id", "id", name="task_project_id_id_key"),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("model_id", sa.String(length=64), nullable=True),
        sa.Column("task_id", sa.String(length=64), nullable=True),
        sa.Column("base_model_id", sa.String(length=64), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=True),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("expected_parent", sa.String(length=64), nullable=True),
        sa.Column("parent_version_id", sa.String(length=64), nullable=True),
        sa.Column("result_version_id", sa.String(length=64), nullable=True),
        sa.Column("retry_of", sa.String(length=64), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=True),
        sa.Column("lease_ms", sa.BigInteger(), nullable=True),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("barren", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("total_steps", sa.BigInteger(), nullable=True),
        sa.Column("eta_seconds", sa.Double(), nullable=True),
        sa.Column("deadline_ms", sa.BigInteger(), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=True),
        sa.Column("finished_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(kind = 'inspect') = (base_model_id IS NOT NULL)", name=op.f("job_inspects_a_base_model")),
        sa.CheckConstraint("(kind = 'inspect') = (model_id IS NULL)", name=op.f("job_inspects_no_model")),
        sa.CheckConstraint("(kind = 'train') = (task_id IS NOT NULL)", name=op.f("job_trains_a_task")),
        sa.CheckConstraint(
            "(state = 'running') = (owner IS NOT NULL AND lease_ms IS NOT NULL)", name=op.f("job_running_is_held")
        ),
        sa.CheckConstraint(
            "kind IN ('evaluate', 'export', 'inspect', 'rebuild', 'train')", name=op.f("job_kind_known")
        ),
        sa.CheckConstraint(
            "phase IN ('evaluating', 'preparing', 'publishing', 'training')", name=op.f("job_phase_known")
        ),
        sa.CheckConstraint("state <> 'running' OR fence IS NOT NULL", name=op.f("job_running_is_fenced")),
        sa.CheckConstraint(
            "state IN ('cancelled', 'failed', 'paused', 'queued', 'rejected', 'running', 'succeeded')",
            name=op.f("job_state_known"),
        ),
        sa.ForeignKeyConstraint(["base_model_id"], ["base_model.id"], name="job_base_model_id_fk"),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"], ["model.project_id", "model.id"], name="job_project_id_model_id_fk"
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "retry_of"], ["job.project_id", "job.id"], name="job_project_id_retry_of_fk"
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "task_id"], ["task.project_id", "task.id"], name="job_project_id_task_id_fk"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="job_project_id_fk"),
        sa.PrimaryKeyConstraint("id", name="job_pk"),
        sa.UniqueConstraint("model_id", "seq", name="job_model_id_seq_key"),
        sa.UniqueConstraint("project_id", "id", name="job_project_id_id_key"),
    )
    op.create_index(
        "job_lease",
        "job",
        ["lease_ms"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "job_line",
        "job",
        ["model_id", "seq"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "job_one_active",
        "job",
        ["model_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('paused', 'running')"),
        postgresql_where=sa.text("state IN ('paused', 'running')"),
    )
    op.create_index(
        "job_queue",
        "job",
        ["created_ms", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_table(
        "metric",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("series", sa.String(length=64), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "job_id"], ["job.project_id", "job.id"], name="metric_project_id_job_id_fk"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="metric_project_id_fk"),
        sa.PrimaryKeyConstraint("job_id", "series", "step", name="metric_pk"),
    )
    op.create_table(
        "version",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("model_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", sa.String(length=64), nullable=True),
        sa.Column("task_id", sa.String(length=64), nullable=True),
        sa.Column("job_id", sa.String(length=64), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("manifest_sha256", sa.String(length=64), nullable=True),
        sa.Column("artefact", sa.Text(), nullable=True),
        sa.Column("digest", sa.String(length=128), nullable=False),
        sa.Column("delta", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('corrupt', 'deleted', 'ready', 'rejected')", name=op.f("version_state_known")),
        sa.CheckConstraint("(number = 0) = (parent_id IS NULL)", name=op.f("version_only_the_base_has_no_parent")),
        sa.CheckConstraint(
            "number = 0 OR (job_id IS NOT NULL AND fence IS NOT NULL AND artefact IS NOT NULL AND manifest_sha256 IS NOT NULL AND length(manifest_sha256) = 64)",
            name=op.f("version_published_whole"),
        ),
        sa.CheckConstraint("number >= 0", name=op.f("version_number_counts")),
        sa.ForeignKeyConstraint(
            ["model_id", "parent_id"], ["version.model_id", "version.id"], name="version_model_id_parent_id_fk"
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "job_id"], ["job.project_id", "job.id"], name="version_project_id_job_id_fk"
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"], ["model.project_id", "model.id"], name="version_project_id_model_id_fk"
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "task_id"], ["task.project_id", "task.id"], name="version_project_id_task_id_fk"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="version_project_id_fk"),
        sa.PrimaryKeyConstraint("id", name="version_pk"),
        sa.UniqueConstraint("job_id", name="version_job_id_key"),
        sa.UniqueConstraint("model_id", "id", name="version_model_id_id_key"),
        sa.UniqueConstraint("model_id", "number", name="version_model_id_number_key"),
        sa.UniqueConstraint("project_id", "id", name="version_project_id_id_key"),
    )
    op.create_table(
        "alias",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("model_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version_id", sa.String(length=64), nullable=False),
        sa.Column("moves", sa.BigInteger(), nullable=False),
        sa.Column("moved_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "version_id"], ["version.model_id", "version.id"], name="alias_model_id_version_id_fk"
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"], ["model.project_id", "model.id"], name="alias_project_id_model_id_fk"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="alias_project_id_fk"),
        sa.PrimaryKeyConstraint("model_id", "name", name="alias_pk"),
    )
    op.create_table(
        "score",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("version_id", sa.String(length=64), nullable=False),
        sa.Column("task_id", sa.String(length=64), nullable=False),
        sa.Column("metric", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "task_id"], ["task.project_id", "task.id"], name="score_project_id_task_id_fk"
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "version_id"], ["version.project_id", "version.id"], name="score_project_id_version_id_fk"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="score_project_id_fk"),
        sa.PrimaryKeyConstraint("version_id", "task_id", "metric", name="score_pk"),
    )
    op.create_table(
        "version_chain",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("version_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("delta_version_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint("position >= 0", name=op.f("version_chain_position_counts")),
        sa.ForeignKeyConstraint(
            ["project_id", "delta_version_id"],
            ["version.project_id", "version.id"],
            name="version_chain_project_id_delta_version_id_fk",
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "version_id"],
            ["version.project_id", "version.id"],
            name="version_chain_project_id_version_id_fk",
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="version_chain_project_id_fk"),
        sa.PrimaryKeyConstraint("version_id", "position", name="version_chain_pk"),
    )
    op.create_table(
        "alias_move",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("model_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("from_version_id", sa.String(length=64), nullable=True),
        sa.Column("to_version_id", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "from_version_id"],
            ["version.model_id", "version.id"],
            name="alias_move_model_id_from_version_id_fk",
        ),
        sa.ForeignKeyConstraint(
            ["model_id", "name"], ["alias.model_id", "alias.name"], name="alias_move_model_id_name_fk"
        ),
        sa.ForeignKeyConstraint(
            ["model_id", "to_version_id"],
            ["version.model_id", "version.id"],
            name="alias_move_model_id_to_version_id_fk",
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="alias_move_project_id_fk"),
        sa.PrimaryKeyConstraint("model_id", "name", "n", name="alias_move_pk"),
    )


def downgrade() -> None:
    for table in (
        "alias_move",
        "version_chain",
        "score",
        "alias",
        "version",
        "metric",
        "job",
        "task",
        "model",
        "event",
        "dataset",
        "project",
        "base_model",
    ):
        op.drop_table(table)

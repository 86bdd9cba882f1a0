"""The registry's tables, the same on SQLite and PostgreSQL. The schema itself is made by `migrations` only.

Rows that belong to a project refer to each other by ``(project_id, id)``: no row can point into another project,
whatever the code above does. States and kinds are checked by the database too.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from core.domain.jobs import IN_LINE, JobKind, JobState, Phase
from core.domain.records import BaseModelState
from core.domain.versions import VersionState
from core.registry.columns import METADATA, belongs, id_column, one_of, partial, project_column, quoted

PROJECT: Final = Table(
    "project",
    METADATA,
    id_column(),
    Column("name", String(64), nullable=False, unique=True),
    Column("created_ms", BigInteger, nullable=False),
    # Quotas; null is no limit.
    Column("max_open_jobs", Integer),
    Column("max_bytes", BigInteger),
    Column("max_requests_per_minute", Integer),
    Column("max_generations", Integer),
)

BASE_MODEL: Final = Table(
    "base_model",
    METADATA,
    id_column(),
    Column("name", String(64), nullable=False, unique=True),
    Column("source", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("digest", String(128)),
    Column("facts", JSON(none_as_null=True)),
    Column("path", Text),
    Column("error", Text),
    Column("created_ms", BigInteger, nullable=False),
    one_of("state", BaseModelState),
    CheckConstraint(
        "state <> 'ready' OR (digest IS NOT NULL AND facts IS NOT NULL AND path IS NOT NULL)", name="ready_is_inspected"
    ),
)

MODEL: Final = Table(
    "model",
    METADATA,
    id_column(),
    project_column(),
    Column("name", String(64), nullable=False),
    Column("base_model_id", String(64), ForeignKey("base_model.id"), nullable=False),
    Column("method", JSON, nullable=False),
    Column("policy", JSON, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("next_seq", BigInteger, nullable=False),
    Column("next_number", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("deleted_ms", BigInteger),
    UniqueConstraint("project_id", "id"),
    partial("model_living_name", "project_id", "name", where="deleted_ms IS NULL", unique=True),
)

DATASET: Final = Table(
    "dataset",
    METADATA,
    id_column(),
    project_column(),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("format", String(64), nullable=False),
    Column("n_rows", BigInteger, nullable=False),
    Column("report", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("deleted_ms", BigInteger),
    UniqueConstraint("project_id", "id"),
    CheckConstraint("length(sha256) = 64", name="sha256_whole"),
    CheckConstraint("size_bytes > 0", name="size_bytes_positive"),
    CheckConstraint("n_rows > 0", name="n_rows_positive"),
    partial("dataset_living_content", "project_id", "sha256", where="deleted_ms IS NULL", unique=True),
)

TASK: Final = Table(
    "task",
    METADATA,
    id_column(),
    project_column(),
    Column("model_id", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("dataset_id", String(64), nullable=False),
    Column("eval_dataset_id", String(64)),
    Column("spec", JSON, nullable=False),
    Column("template", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    UniqueConstraint("project_id", "id"),
    UniqueConstraint("model_id", "name"),
    belongs("model_id", "model"),
    belongs("dataset_id", "dataset"),
    belongs("eval_dataset_id", "dataset"),
)

JOB: Final = Table(
    "job",
    METADATA,
    id_column(),
    project_column(),
    Column("kind", String(16), nullable=False),
    Column("model_id", String(64)),
    Column("task_id", String(64)),
    Column("base_model_id", String(64), ForeignKey("base_model.id")),
    Column("seq", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("phase", String(16)),
    Column("params", JSON, nullable=False),
    # Versions refer to jobs; these three refer back, by value: a cycle of foreign keys cannot be created on SQLite.
    Column("expected_parent", String(64)),
    Column("parent_version_id", String(64)),
    Column("result_version_id", String(64)),
    Column("retry_of", String(64)),
    Column("cancel_requested", Boolean, nullable=False),
    Column("pause_requested", Boolean, nullable=False, server_default=false()),
    Column("owner", String(255)),
    Column("fence", BigInteger),
    Column("lease_ms", BigInteger),
    Column("claims", Integer, nullable=False),
    Column("barren", Integer, nullable=False),
    Column("checkpoint_step", BigInteger),
    Column("step", BigInteger, nullable=False),
    Column("total_steps", BigInteger),
    Column("eta_seconds", Double),
    Column("deadline_ms", BigInteger),
    Column("error_code", String(64)),
    Column("error_detail", Text),
    Column("created_ms", BigInteger, nullable=False),
    Column("started_ms", BigInteger),
    Column("finished_ms", BigInteger),
    UniqueConstraint("project_id", "id"),
    UniqueConstraint("model_id", "seq"),
    belongs("model_id", "model"),
    belongs("task_id", "task"),
    belongs("retry_of", "job"),
    one_of("kind", JobKind),
    one_of("state", JobState),
    one_of("phase", Phase),
    CheckConstraint("(kind = 'inspect') = (model_id IS NULL)", name="inspects_no_model"),
    CheckConstraint("(kind = 'inspect') = (base_model_id IS NOT NULL)", name="inspects_a_base_model"),
    CheckConstraint("(kind = 'train') = (task_id IS NOT NULL)", name="trains_a_task"),
    CheckConstraint("(state = 'running') = (owner IS NOT NULL AND lease_ms IS NOT NULL)", name="running_is_held"),
    CheckConstraint("state <> 'running' OR fence IS NOT NULL", name="running_is_fenced"),
    # At most one running job a model: the backstop behind the claim's own query.
    partial("job_one_running", "model_id", where="state = 'running'", unique=True),
    # By age, with all that counting who stands before whom takes.
    partial("job_queue", "created_ms", "id", "project_id", "model_id", where="state = 'queued'"),
    partial("job_paused", "project_id", "model_id", "seq", where="state = 'paused'"),
    partial("job_line", "model_id", "seq", where=f"state IN ({quoted(IN_LINE)})"),
    partial("job_modelless", "created_ms", where="state = 'queued' AND model_id IS NULL"),
    partial("job_lease", "lease_ms", where="state = 'running'"),
)

VERSION: Final = Table(
    "version",
    METADATA,
    id_column(),
    project_column(),
    Column("model_id", String(64), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("parent_id", String(64)),
    Column("task_id", String(64)),
    Column("job_id", String(64), unique=True),
    Column("fence", BigInteger),
    Column("state", String(16), nullable=False),
    Column("manifest_sha256", String(64)),
    Column("artefact", Text),
    Column("digest", String(128), nullable=False),
    Column("delta", JSON(none_as_null=True)),
    Column("gate", JSON(none_as_null=True)),
    Column("created_ms", BigInteger, nullable=False),
    UniqueConstraint("project_id", "id"),
    UniqueConstraint("model_id", "number"),
    UniqueConstraint("model_id", "id"),
    belongs("model_id", "model"),
    belongs("task_id", "task"),
    belongs("job_id", "job"),
    # A parent is a version of the same model.
    ForeignKeyConstraint(["model_id", "parent_id"], ["version.model_id", "version.id"]),
    one_of("state", VersionState),
    CheckConstraint("number >= 0", name="number_counts"),
    CheckConstraint("(number = 0) = (parent_id IS NULL)", name="only_the_base_has_no_parent"),
    CheckConstraint(
        "number = 0 OR (job_id IS NOT NULL AND fence IS NOT NULL AND artefact IS NOT NULL "
        "AND manifest_sha256 IS NOT NULL AND length(manifest_sha256) = 64)",
        name="published_whole",
    ),
)

VERSION_CHAIN: Final = Table(
    "version_chain",
    METADATA,
    project_column(),
    Column("version_id", String(64), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("delta_version_id", String(64), nullable=False),
    belongs("version_id", "version"),
    belongs("delta_version_id", "version"),
    CheckConstraint("position >= 0", name="position_counts"),
)

ALIAS: Final = Table(
    "alias",
    METADATA,
    project_column(),
    Column("model_id", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("version_id", String(64), nullable=False),
    Column("moves", BigInteger, nullable=False),
    Column("moved_ms", BigInteger, nullable=False),
    belongs("model_id", "model"),
    ForeignKeyConstraint(["model_id", "version_id"], ["version.model_id", "version.id"]),
)

ALIAS_MOVE: Final = Table(
    "alias_move",
    METADATA,
    project_column(),
    Column("model_id", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("n", BigInteger, primary_key=True),
    Column("from_version_id", String(64)),
    Column("to_version_id", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    ForeignKeyConstraint(["model_id", "name"], ["alias.model_id", "alias.name"]),
    ForeignKeyConstraint(["model_id", "from_version_id"], ["version.model_id", "version.id"]),
    ForeignKeyConstraint(["model_id", "to_version_id"], ["version.model_id", "version.id"]),
)

CHANGES: Final = "kind NOT IN ('checkpoint', 'phase', 'progress')"

EVENT: Final = Table(
    "event",
    METADATA,
    Column("subject_id", String(64), primary_key=True),
    Column("n", BigInteger, primary_key=True),
    project_column(),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("from_state", String(16)),
    Column("to_state", String(16)),
    Column("fence", BigInteger),
    Column("actor", String(255), nullable=False),
    Column("data", JSON, nullable=False),
    Column("id", String(64), nullable=False),
    # What a project's list of changes shows, newest first: not what a trainer reports, which is most of the table.
    partial("event_change", "project_id", "id", where=CHANGES),
)

"""Every knob of the service, read once at the edges from ``STRATA_…`` variables and passed in as values."""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.domain import backends as backend_entries
from core.domain.backends import BackendEntry, EngineEntry, VllmFleet

GIB = 1024**3
MIB = 1024**2


def usable_cpus() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _secrets_dir() -> Path | None:
    """Return the folder whose files are settings too, each named as its variable in lower case, if there is one."""
    named = os.environ.get("STRATA_SECRETS_DIR")
    return Path(named) if named and Path(named).is_dir() else None


class Settings(BaseSettings):
    """The settings of one process; all processes of one installation share the same values."""

    model_config = SettingsConfigDict(
        env_prefix="STRATA_",
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        secrets_dir=_secrets_dir(),
    )

    # Where things are.
    data_dir: Path = Field(
        default=Path("var/strata"),
        description="Folder of the registry, uploads, artefacts, base models and job folders.",
    )
    base_models_dir: Path = Field(
        default=Path(),
        description="Folder of converted base models, which installations may share; "
        "empty means base-models in the data folder.",
    )
    database_url: str = Field(
        default="",
        description="SQLAlchemy URL of the registry: sqlite:///… or postgresql+psycopg://…; "
        "empty means registry.sqlite in the data folder.",
    )
    storage_url: str = Field(
        default="",
        pattern=r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9/_.-]*)?)?$",
        description="Bucket of datasets and artefacts, s3://<bucket>[/<prefix>]; empty means the data folder, "
        "which all processes must then share.",
    )
    storage_endpoint_url: str = Field(
        default="",
        description="Address of an S3-compatible server other than AWS's; unused without storage_url.",
    )
    dispatcher: Literal["local", "celery"] = Field(
        default="local",
        description="How workers learn of queued jobs: by polling the registry, or by Celery wake-ups over a broker.",
    )
    broker_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="Broker of the Celery dispatcher; unused by the local one.",
    )

    # The API.
    api_host: str = Field(default="127.0.0.1", description="Address that the API listens on.")
    api_port: int = Field(default=8321, ge=0, le=65535, description="Port that the API listens on.")
    require_keys: Literal["auto", "always"] = Field(
        default="auto",
        description="Whether callers must show an API key: auto asks for one as soon as the registry holds any, and "
        "refuses to listen beyond loopback before; always asks from the start.",
    )
    request_head_seconds: float = Field(
        default=10.0, gt=0, description="Longest time that the head of a request may take to arrive."
    )
    request_body_seconds: float = Field(
        default=20.0,
        gt=0,
        description="Time within which 8 KiB more of a request's body, or its end, must arrive; and within which a "
        "caller must read on.",
    )
    max_connections: int = Field(
        default=2_000,
        ge=1,
        description="Connections that one API process holds; beyond, the one that has been silent longest is closed.",
    )
    upload_max_bytes: int = Field(default=512 * MIB, gt=0, description="Largest accepted upload, in bytes.")
    max_rows: int = Field(default=1_000_000, gt=0, description="Most rows of one dataset.")
    project_max_generations: int = Field(
        default=64,
        ge=0,
        description="Answers that one project may have under way in each API process, where its quota says nothing.",
    )
    task_memory_bytes: int = Field(
        default=256 * GIB,
        gt=0,
        description="A task that is estimated to need more memory than this is refused; the memory of the trainer's "
        "device is a good value.",
    )

    metrics_token: SecretStr | None = Field(
        default=None,
        description="Bearer token that opens GET /metrics and nothing else; where keys are asked for, an admin key "
        "opens it too.",
    )

    # Logs.
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto",
        description="Lines of the log: json, or text as key=value; auto is text on a terminal and json elsewhere.",
    )
    log_requests: bool = Field(
        default=True,
        description="Whether the API logs a line for each request; what fails on its side is logged in any case.",
    )

    # Leases, in seconds.
    lease_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How long a claim is trusted after its last heartbeat; at least four times beat_seconds.",
    )
    beat_seconds: float = Field(default=10.0, gt=0, description="Time between a worker's heartbeats.")
    sweep_seconds: float = Field(default=15.0, gt=0, description="Time between two searches for expired leases.")
    poll_seconds: float = Field(default=0.5, gt=0, description="Time between two looks at the queue or the aliases.")
    barren_limit: int = Field(
        default=3,
        ge=1,
        description="Claims in a row that may end without a new checkpoint before the job fails as poison_job.",
    )

    retention_seconds: float = Field(
        default=24 * 3600.0,
        gt=0,
        description="What nothing refers to (uploads that broke off, files of deleted or lost things) is removed once "
        "it is this old.",
    )

    # Training.
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda|mps)$",
        description="Device of trainer and engine: auto, cpu, cuda or mps.",
    )
    engine_device: str = Field(
        default="",
        pattern=r"^(auto|cpu|cuda|mps)?$",
        description="Device of the engine alone, e.g. cpu to leave the only GPU to the trainer; empty means device.",
    )
    compute_command: str = Field(
        default="",
        description="Command that runs a module of worker.compute, to which its name and the job's folder are "
        "appended, e.g. `nice -n 10 python -m`; empty means this Python with -m.",
    )
    visible_gpu: str | None = Field(
        default=None,
        description="CUDA_VISIBLE_DEVICES of the trainer; unset means what the worker sees, or else GPU 0.",
    )
    trainer_memory_bytes: int = Field(
        default=0,
        ge=0,
        description="Memory of its device that one trainer may take: a job that is estimated to need more fails as "
        "insufficient_memory before it starts. 0 means what the device has in all, on a GPU that the engine uses too "
        "less engine_memory_bytes.",
    )
    trainer_threads: int = Field(default_factory=usable_cpus, ge=1, description="CPU threads of one trainer.")
    job_timeout_seconds: float = Field(
        default=24 * 3600.0,
        gt=0,
        description="Longest run of one claim when the task names no timeout_seconds.",
    )
    stall_seconds: float = Field(
        default=600.0,
        gt=0,
        description="A trainer that shows no progress (steps, scoring) for so long, and for 20 of its usual steps, "
        "is stopped, and the claim counts as barren.",
    )
    stop_grace_seconds: float = Field(
        default=15.0,
        gt=0,
        description="Time between the polite and the forced stop of a trainer.",
    )
    min_free_bytes: int = Field(
        default=1 * GIB,
        ge=0,
        description="Free space that must remain in the data folder beyond what a job is estimated to write.",
    )

    # Who answers.
    backends: tuple[BackendEntry, ...] = Field(
        default=(),
        description="Engines and OpenAI-compatible servers behind the API, as a JSON list (how-to/use-several-engines); "
        "empty means the engine at engine_address.",
    )
    vllm: VllmFleet | None = Field(
        default=None,
        description="vLLM servers that follow an alias, as JSON (how-to/serve-with-vllm); for worker.compute.vllm.",
    )

    # The engine.
    engine_address: str = Field(
        default="",
        description="unix:<socket path> or http://host:port; empty means run/engine.sock in the data folder.",
    )
    engine_secret: SecretStr | None = Field(
        default=None,
        description="Shared secret of an engine that listens on TCP.",
    )
    engine_threads: int = Field(default_factory=usable_cpus, ge=1, description="CPU threads of the engine.")
    engine_memory_bytes: int = Field(
        default=8 * GIB,
        gt=0,
        description="Unique tensor bytes that the engine may hold in live versions.",
    )
    engine_answer_bytes: int = Field(
        default=1 * GIB,
        gt=0,
        description="Memory for keys and values of answers under way and of prompts read lately, of each base model.",
    )
    engine_timeout_seconds: float = Field(default=120.0, gt=0, description="Longest wait for one generated answer.")
    engine_drain_seconds: float = Field(
        default=10.0,
        gt=0,
        description="How long an engine that is told to stop goes on with answers under way; it takes no new ones.",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_derived(cls, values: dict[str, object]) -> dict[str, object]:
        """Anchor the data folder, and derive the addresses inside it that were left empty."""
        data_dir = Path(str(values.get("data_dir") or "var/strata")).expanduser().absolute()
        filled = {**values, "data_dir": data_dir}
        base_models_dir = Path(str(values.get("base_models_dir") or data_dir / "base-models"))
        filled["base_models_dir"] = base_models_dir.expanduser().absolute()
        filled["database_url"] = values.get("database_url") or f"sqlite:///{data_dir / 'registry.sqlite'}"
        filled["engine_address"] = values.get("engine_address") or f"unix:{data_dir / 'run' / 'engine.sock'}"
        return filled

    @model_validator(mode="after")
    def _check_lease(self) -> Self:
        """A holder must be able to miss two beats and still stop before its lease runs out."""
        if self.lease_seconds < 4 * self.beat_seconds:
            raise ValueError("lease_seconds must be at least four times beat_seconds")
        return self

    @model_validator(mode="after")
    def _check_backends(self) -> Self:
        backend_entries.require_consistent(self.backends, has_secret=self.engine_secret is not None)
        return self

    @property
    def all_backends(self) -> tuple[BackendEntry, ...]:
        """Who answers: those that are set, or else the one engine."""
        return self.backends or (EngineEntry(kind="engine", name="engine", address=self.engine_address),)

    @property
    def engine_addresses(self) -> tuple[str, ...]:
        """Where engines are told of new versions."""
        return tuple(entry.address for entry in self.all_backends if isinstance(entry, EngineEntry))

    @property
    def storage(self) -> dict[str, str]:
        """Where the stores of `core.storage.opening` lie."""
        return {"storage_url": self.storage_url, "endpoint_url": self.storage_endpoint_url}

    @property
    def blobs_dir(self) -> Path:
        """Content-addressed datasets."""
        return self.data_dir / "blobs"

    @property
    def artefacts_dir(self) -> Path:
        """Root of the local artefact store."""
        return self.data_dir / "artefacts"

    @property
    def jobs_dir(self) -> Path:
        """Job folders, ``<job id>/<fence>/``."""
        return self.data_dir / "jobs"

    @property
    def uploads_dir(self) -> Path:
        """Temporary files of uploads that are under way."""
        return self.data_dir / "uploads"

    @property
    def run_dir(self) -> Path:
        """Sockets and logs of the running processes."""
        return self.data_dir / "run"

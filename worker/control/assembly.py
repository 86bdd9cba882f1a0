"""Builds a worker from the settings: the only place where they are read here."""

import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from core.domain.identifiers import new_id
from core.registry.work import Registry
from core.settings import Settings
from core.storage import opening
from core.storage.artefacts import STAGING
from core.storage.durable import make_folder
from worker.control.collection import Collector
from worker.control.context import Compute, Timings, WorkerContext
from worker.control.engine import EnginesNotifier
from worker.control.registry_desk import RegistryDesk


@contextmanager
def open_context(settings: Settings) -> Iterator[WorkerContext]:
    """Yield the context of one worker process, and close its registry. Enter it after any fork."""
    make_folder(settings.jobs_dir)
    make_folder(settings.base_models_dir)
    registry = Registry(settings.database_url)
    try:
        yield _build(settings, registry)
    finally:
        registry.close()


def _build(settings: Settings, registry: Registry) -> WorkerContext:
    desk = RegistryDesk(
        registry,
        owner=f"{socket.gethostname()}:{os.getpid()}:{new_id('own')}",
        lease_seconds=settings.lease_seconds,
        barren_limit=settings.barren_limit,
    )
    secret = settings.engine_secret
    artefacts = opening.artefact_store(settings.artefacts_dir, **settings.storage)
    blobs = opening.blob_store(settings.blobs_dir, **settings.storage)
    checkpoints = opening.checkpoint_store(settings.artefacts_dir, **settings.storage)
    return WorkerContext(
        desk=desk,
        artefacts=artefacts,
        blobs=blobs,
        checkpoints=checkpoints,
        jobs_dir=settings.jobs_dir,
        base_models_dir=settings.base_models_dir,
        compute=_compute(settings),
        timings=_timings(settings),
        notify_engine=EnginesNotifier(settings.engine_addresses, secret.get_secret_value() if secret else None),
        min_free_bytes=settings.min_free_bytes,
        collect=Collector(
            registry=registry,
            artefacts=artefacts,
            blobs=blobs,
            checkpoints=checkpoints,
            jobs_dir=settings.jobs_dir,
            scratch=(settings.uploads_dir, settings.artefacts_dir / STAGING),
            older_than_seconds=settings.retention_seconds,
        ),
    )


def _compute(settings: Settings) -> Compute:
    command = shlex.split(settings.compute_command) or [sys.executable, "-m"]
    engine_device = settings.engine_device or settings.device
    return Compute(
        command=command,
        device=settings.device,
        threads=settings.trainer_threads,
        visible_gpu=settings.visible_gpu,
        memory_bytes=settings.trainer_memory_bytes,
        engine_share_bytes=settings.engine_memory_bytes if engine_device in {"auto", "cuda"} else 0,
    )


def _timings(settings: Settings) -> Timings:
    return Timings(
        lease=settings.lease_seconds,
        beat=settings.beat_seconds,
        sweep=settings.sweep_seconds,
        poll=settings.poll_seconds,
        run=settings.job_timeout_seconds,
        stall=settings.stall_seconds,
        grace=settings.stop_grace_seconds,
    )

"""Exports: a version in a format that other software opens, built once and kept while the version is."""

from collections.abc import Collection
from dataclasses import dataclass

from core.domain.base_facts import BaseFacts
from core.domain.errors import ConflictError, MissingError
from core.domain.exports import (
    Export,
    ExportDtype,
    ExportedFile,
    ExportFormat,
    expected_bytes,
    require_dtype,
    require_possible,
)
from core.domain.identifiers import new_id
from core.domain.jobs import OPEN, JobKind, JobState
from core.domain.ports import Dispatcher
from core.domain.records import Job, Page, Version
from core.domain.versions import VersionState
from core.registry import base_models, events, exports, jobs, models, versions
from core.registry.pages import Cursor, Order
from core.registry.work import Work
from core.services import quotas
from core.services.chains import is_ready
from core.services.promotions import why_not_ready
from core.services.versions import resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An export, the job that builds or built it, and whether that was queued just now."""

    export: Export
    job: Job
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    version: Version
    format: ExportFormat
    dtype: ExportDtype


def submit(
    work: Work,
    *,
    project_id: str,
    version: str,
    format: ExportFormat,  # noqa: A002 - the users' word
    dtype: ExportDtype | None = None,
    dispatcher: Dispatcher,
) -> Asked:
    """Return the export of a version: the one that there is, or else a new one, whose job is queued.

    Raises:
        MissingError: ``model_not_found``, ``version_not_found`` or ``alias_not_found``.
        ConflictError: ``wrong_state``: the version is not ready.
        InvalidError: ``unsupported_export``: it cannot be written so.
        QuotaError: ``too_many_open_jobs`` or ``too_many_bytes``.
    """
    found = resolve(work, project_id=project_id, reference=version)
    if not is_ready(work, found):
        raise ConflictError(f"the version cannot be exported: {why_not_ready(found)}", code="wrong_state")
    wish = _Wish(version=found, format=format, dtype=require_dtype(format, dtype))
    size_bytes = _expected_bytes(work, wish)
    if known := _usable(work, wish):
        return known
    quotas.require_open_job(work, project_id=project_id)
    quotas.require_bytes(work, project_id=project_id, size_bytes=size_bytes)
    return _queue(work, wish, dispatcher=dispatcher)


def again(work: Work, job: Job, *, dispatcher: Dispatcher) -> Job:
    """Queue a new job like an export's that did not succeed, if the version is still there.

    Raises:
        MissingError: ``export_not_found``.
        ConflictError: ``wrong_state``: another job of it is open or has succeeded, or the version is not ready.
        QuotaError: ``too_many_open_jobs``.
    """
    export = require_export(work, project_id=job.project_id, export_id=job.params["export_id"])
    version = versions.get(work, export.version_id)
    if not is_ready(work, version):
        raise ConflictError(f"the version cannot be exported: {why_not_ready(version)}", code="wrong_state")
    wish = _Wish(version=version, format=export.format, dtype=export.dtype)
    quotas.require_open_job(work, project_id=job.project_id)
    asked = _queue(work, wish, dispatcher=dispatcher, retry_of=job.id)
    if not asked.is_new:
        raise ConflictError("another job of this export is open or has succeeded", code="wrong_state")
    return asked.job


def require_export(work: Work, *, project_id: str, export_id: str) -> Export:
    """Return an export of a version that is still there.

    Raises:
        MissingError: ``export_not_found``.
    """
    found = exports.find(work, project_id=project_id, export_id=export_id)
    if found is None:
        raise MissingError("there is no such export", code="export_not_found")
    return found


def page(
    work: Work,
    *,
    project_id: str,
    version: str | None = None,
    limit: int = 20,
    after: str | None = None,
    order: Order = "desc",
) -> Page[Export]:
    """Return the project's exports, or those of one version."""
    version_id = None if version is None else resolve(work, project_id=project_id, reference=version).id
    return exports.page(work, project_id=project_id, version_id=version_id, cursor=Cursor(limit, after, order))


def jobs_of(work: Work, found: Collection[Export]) -> dict[str, Job]:
    """Return the latest jobs of some exports, by the exports' ids."""
    known = jobs.by_id(work, {export.job_id for export in found}) if found else {}
    return {export.id: known[export.job_id] for export in found}


def require_file(work: Work, *, project_id: str, export_id: str, name: str) -> tuple[Export, ExportedFile]:
    """Return an export and one of its files, by the path in its folder.

    Raises:
        MissingError: ``export_not_found``, or there is no such file.
        ConflictError: ``export_not_ready``: its job has not succeeded.
    """
    export = require_export(work, project_id=project_id, export_id=export_id)
    for file in files_of(export):
        if file.name == name:
            return export, file
    if export.artefact is None:
        raise ConflictError(
            "the export is not built yet, or its job failed: look at its state", code="export_not_ready"
        )
    raise MissingError("the export has no such file", code="not_found")


def files_of(export: Export) -> tuple[ExportedFile, ...]:
    """Return the files of an export; none before it is built."""
    return tuple(ExportedFile.model_validate(file) for file in export.files or ())


def delete(work: Work, *, project_id: str, export_id: str) -> Export:
    """Forget an export; its files go with the next sweep, and asked again it is built anew.

    Raises:
        MissingError: ``export_not_found``.
        ConflictError: ``wrong_state``: its job is not over.
    """
    export = require_export(work, project_id=project_id, export_id=export_id)
    models.lock(work, export.model_id)
    export = require_export(work, project_id=project_id, export_id=export_id)
    if jobs.get(work, export.job_id).state in OPEN:
        raise ConflictError("the export is being built; cancel its job first", code="wrong_state")
    exports.remove(work, export)
    _tell(work, export, kind="deleted")
    return export


def _queue(work: Work, wish: _Wish, *, dispatcher: Dispatcher, retry_of: str | None = None) -> Asked:
    version = wish.version
    # Locks the model: whoever asks for the same at the same moment finds ours.
    seq = models.next_seq(work, version.model_id)
    if known := _usable(work, wish):
        return known
    if versions.get(work, version.id).state is VersionState.DELETED:
        raise ConflictError("the version cannot be exported: it is deleted", code="wrong_state")
    earlier = exports.find_same(work, version_id=version.id, format=wish.format, dtype=wish.dtype)
    export_id = earlier.id if earlier else new_id("exp")
    job = jobs.add(
        work,
        project_id=version.project_id,
        kind=JobKind.EXPORT,
        seq=seq,
        actor=work.actor,
        model_id=version.model_id,
        params={
            "export_id": export_id,
            "version_id": version.id,
            "format": wish.format.value,
            "dtype": wish.dtype.value,
            "timeout_seconds": None,
        },
        # Nobody shall delete it while the job waits.
        parent_version_id=version.id,
        retry_of=retry_of,
    )
    if earlier:
        export = exports.change(work, earlier, job_id=job.id)
    else:
        export = exports.add(
            work,
            id=export_id,
            project_id=version.project_id,
            model_id=version.model_id,
            version_id=version.id,
            format=wish.format,
            dtype=wish.dtype,
            job_id=job.id,
        )
        _tell(work, export, kind="created")
    work.after_commit(lambda: dispatcher.wake(job.id))
    return Asked(export=export, job=job, is_new=True)


def _usable(work: Work, wish: _Wish) -> Asked | None:
    """Return the export that there is, unless its job failed or was cancelled."""
    export = exports.find_same(work, version_id=wish.version.id, format=wish.format, dtype=wish.dtype)
    if export is None:
        return None
    job = jobs.get(work, export.job_id)
    usable = job.state in OPEN or job.state is JobState.SUCCEEDED
    return Asked(export=export, job=job, is_new=False) if usable else None


def _expected_bytes(work: Work, wish: _Wish) -> int:
    """Return about how large the export will be, if it can be."""
    version = wish.version
    base = base_models.get(work, models.get(work, version.model_id).base_model_id)
    facts = BaseFacts.model_validate(base.facts)
    require_possible(wish.format, facts, is_base=not version.chain)
    links = versions.by_id(work, version.chain)
    size = sum((links[link].delta or {}).get("size_bytes", 0) for link in version.chain)
    return expected_bytes(wish.format, wish.dtype, facts, delta_bytes=size)


def _tell(work: Work, export: Export, *, kind: str) -> None:
    told = {"version_id": export.version_id, "format": export.format.value, "dtype": export.dtype.value}
    events.append(work, subject_id=export.id, project_id=export.project_id, kind=kind, actor=work.actor, data=told)

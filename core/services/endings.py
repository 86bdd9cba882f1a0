"""How a job ends other than by success, and what ends with it."""

from typing import Final

from core.domain.gate_report import GATE_REJECTED
from core.domain.jobs import JobKind, JobState
from core.domain.records import BaseModelState, Job, Version
from core.registry import base_models, jobs
from core.registry.work import Work

MAX_DETAIL: Final = 4_000


def end(work: Work, job: Job, *, to: JobState, actor: str, code: str | None = None, detail: str | None = None) -> Job:
    """End ``job`` as failed or cancelled; a base model whose inspection ends so has failed with it."""
    detail = None if detail is None else _storable(detail)
    changes = {"error_code": code, "error_detail": detail}
    data = {"code": code, "detail": detail} if code else None
    ended = jobs.move(work, job, to=to, actor=actor, changes=changes, data=data)
    if ended.kind is JobKind.INSPECT and ended.base_model_id:
        error = detail or f"the inspection was {to}"
        base_models.change(work, ended.base_model_id, state=BaseModelState.FAILED, error=error)
    return ended


def reject(work: Work, job: Job, version: Version, *, actor: str, why: str) -> Job:
    """End ``job`` as rejected: its version is kept with the gate's report, and ``why`` says what that found."""
    detail = _storable(why)
    changes = {"result_version_id": version.id, "error_code": GATE_REJECTED, "error_detail": detail}
    data = {"version_id": version.id, "number": version.number, "code": GATE_REJECTED, "detail": detail}
    return jobs.move(work, job, to=JobState.REJECTED, actor=actor, changes=changes, data=data)


def _storable(text: str) -> str:
    """Return ``text`` as both databases can hold it: a trainer's last words must never keep its job from ending."""
    return text[:MAX_DETAIL].encode("utf-8", "replace").decode().replace("\0", "?")

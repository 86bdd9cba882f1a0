"""Un-learning by chain: a version of the other tasks' deltas, asked of a version that learned them all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.domain.errors import ConflictError, InvalidError, MissingError, Place
from core.domain.jobs import JobKind
from core.domain.ports import Dispatcher
from core.domain.records import Job, Model, Task, Version
from core.registry import aliases, jobs, models, tasks, versions
from core.registry.work import Work
from core.services import quotas
from core.services.chains import is_ready
from core.services.naming import require_model
from core.services.publication import left_out_by
from core.services.tasks import require_head
from core.services.versions import resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildRequest:
    """What a user asks.

    Attributes:
        model: name or id.
        leave_out: names or ids of tasks.
        version: which version to leave them out of: a number, ``name@3``, ``name:alias`` or a version's id; None is the
            one that `latest` names when the job starts.
        expected_parent: id of the version that `latest` must name when the job starts; None takes any.
        promote: whether `latest` moves to the new version, if it still names the one that was asked.
        timeout_seconds: the job fails when it has run this long.
    """

    model: str
    leave_out: Sequence[str]
    version: str | None = None
    expected_parent: str | None = None
    promote: bool = True
    timeout_seconds: int | None = None


def submit(
    work: Work, *, project_id: str, request: RebuildRequest, dispatcher: Dispatcher, retry_of: str | None = None
) -> Job:
    """Queue a job that leaves tasks out; workers are woken after the commit. ``retry_of`` is the job that it repeats.

    Raises:
        MissingError: ``model_not_found``, ``version_not_found``, ``alias_not_found`` or ``task_not_found``.
        InvalidError: a task is named twice or is not in the version, no other is, or the version is another model's.
        ConflictError: ``parent_conflict``, or ``wrong_state``: the version is not ready.
        QuotaError: ``too_many_open_jobs``.
    """
    model = require_model(work, project_id=project_id, reference=request.model)
    quotas.require_open_job(work, project_id=project_id)
    seq = models.next_seq(work, model.id)
    require_head(work, model, expected=request.expected_parent)
    parent = _asked(work, model, request.version)
    chosen = _chosen(work, model, parent, request.leave_out)
    params = {
        "left_out": [task.id for task in chosen],
        "version_id": None if request.version is None else parent.id,
        "promote": request.promote,
        "timeout_seconds": request.timeout_seconds,
    }
    job = jobs.add(
        work,
        project_id=project_id,
        kind=JobKind.REBUILD,
        seq=seq,
        actor=work.actor,
        model_id=model.id,
        params=params,
        expected_parent=request.expected_parent,
        # Nobody shall delete it while the job waits.
        parent_version_id=params["version_id"],
        retry_of=retry_of,
    )
    work.after_commit(lambda: dispatcher.wake(job.id))
    return job


def again(work: Work, job: Job, *, dispatcher: Dispatcher) -> Job:
    """Queue a new job like one that did not succeed, if what it was asked is still possible.

    Raises:
        As `submit`.
    """
    pinned: str | None = job.params["version_id"]
    request = RebuildRequest(
        model=str(job.model_id),
        leave_out=left_out_by(job),
        version=pinned,
        expected_parent=job.expected_parent,
        promote=job.params["promote"],
        timeout_seconds=job.params["timeout_seconds"],
    )
    return submit(work, project_id=job.project_id, request=request, dispatcher=dispatcher, retry_of=job.id)


def tasks_left_out(work: Work, version: Version) -> tuple[Task, ...]:
    """Return the tasks that a rebuilt version's parent has and it has not, as they were learned; of another, none."""
    if version.task_id is not None or version.parent_id is None:
        return ()
    parent = versions.get(work, version.parent_id)
    gone = [link for link in parent.chain if link not in version.chain]
    return learned_tasks(work, gone)


def learned_tasks(work: Work, chain: Sequence[str]) -> tuple[Task, ...]:
    """Return the tasks that the links of a chain learned, in order."""
    links = versions.links(work, chain)
    learned = [task_id for link in chain if (task_id := links[link].task_id)]
    known = tasks.by_id(work, learned)
    return tuple(known[task_id] for task_id in learned)


def require_possible(work: Work, parent: Version, left_out: Sequence[str]) -> None:
    """Check, when the job's turn has come, that the version it starts from has the tasks and others.

    Raises:
        ConflictError: ``parent_conflict``.
    """
    learned = {task.id for task in learned_tasks(work, parent.chain)}
    if not learned.issuperset(left_out):
        raise ConflictError("the version that latest names has not learned all these tasks", code="parent_conflict")
    if learned == set(left_out):
        raise ConflictError("the version that latest names has learned no other task", code="parent_conflict")


def _asked(work: Work, model: Model, reference: str | None) -> Version:
    """Return the version that tasks shall be left out of."""
    if reference is None:
        head = aliases.find(work, model_id=model.id, name="latest")
        if head is None:
            raise MissingError("the model has no such alias", code="alias_not_found")
        return versions.get(work, head.version_id)
    if reference.isascii() and reference.isdigit():
        reference = f"{model.id}@{reference}"
    found = resolve(work, project_id=model.project_id, reference=reference)
    if found.model_id != model.id:
        places = [Place(loc=("version",), message="is a version of another model")]
        raise InvalidError("tasks are left out of a version of their own model", places=places)
    if not is_ready(work, found):
        raise ConflictError("the version, or one that it stands on, is not ready", code="wrong_state")
    return found


def _chosen(work: Work, model: Model, parent: Version, references: Sequence[str]) -> list[Task]:
    """Return the tasks to leave out, in the order in which they were learned."""
    learned = learned_tasks(work, parent.chain)
    named: dict[str, Task] = {}
    for n, reference in enumerate(references):
        task = _task(work, model, reference, loc=("leave_out", n))
        if task not in learned:
            hint = f"it has: {', '.join(each.name for each in learned) or 'none'}"
            raise _refused("is not a task that the version has learned", loc=("leave_out", n), hint=hint)
        if task.id in named:
            raise _refused("is given twice", loc=("leave_out", n))
        named[task.id] = task
    if len(named) == len(learned):
        hint = f"without any task it is the base: roll back to {model.name}@0"
        raise _refused("leaves no task", loc=("leave_out",), hint=hint)
    return [task for task in learned if task.id in named]


def _task(work: Work, model: Model, reference: str, *, loc: tuple[str | int, ...]) -> Task:
    found = tasks.find(work, project_id=model.project_id, task_id=reference)
    found = found or tasks.find_named(work, model_id=model.id, name=reference)
    if found is None:
        place = Place(loc=loc, message="the model has no such task", hint="GET /v1/tasks?model= lists its tasks")
        raise MissingError(place.message, code="task_not_found", places=[place])
    return found


def _refused(message: str, **place: Any) -> InvalidError:
    return InvalidError(f"the tasks cannot be left out: one {message}", places=[Place(message=message, **place)])

"""Tasks: a dataset and a learning method, posted to a model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.domain.ports import Dispatcher
from core.domain.records import Job, Page, Task
from core.registry.pages import Order
from core.registry.work import Work

if TYPE_CHECKING:
    from core.learning.recipe import TaskSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSubmission:
    """What a user posts.

    Attributes:
        model: name or id.
        name: of the task, unique in its model.
        eval_dataset_id: held-out rows; None holds out 10 % of the dataset.
        expected_parent: id of the version that `latest` must name when the job starts; None takes what it names then.
    """

    model: str
    name: str
    dataset_id: str
    spec: "TaskSpec"
    eval_dataset_id: str | None = None
    expected_parent: str | None = None


def submit(work: Work, *, project_id: str, submission: TaskSubmission, dispatcher: Dispatcher) -> tuple[Task, Job]:
    """Queue a task; workers are woken after the commit.

    Raises:
        MissingError: ``model_not_found`` or ``dataset_not_found``.
        InvalidError: the name, method or template cannot be; with places.
        ConflictError: ``name_taken`` in this model, or ``parent_conflict``.
    """
    raise NotImplementedError


def get(work: Work, *, project_id: str, task_id: str) -> Task:
    """Return a task.

    Raises:
        MissingError: ``task_not_found``.
    """
    raise NotImplementedError


def page(  # noqa: PLR0913 - filters and a cursor
    work: Work,
    *,
    project_id: str,
    model: str | None = None,
    limit: int = 20,
    after: str | None = None,
    order: Order = "desc",
) -> Page[Task]:
    """Return tasks of the project, or of one of its models (name or id)."""
    raise NotImplementedError

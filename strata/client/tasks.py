"""The call that teaches: post a task, get a job."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strata.client.results import Job, Task
from strata.client.transport import Transport
from strata.client.uploads import Part, Rows, upload


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskData:
    """Where a task's rows come from: a file, rows in memory, or a dataset that is already there.

    Exactly one of ``file``, ``rows`` and ``dataset_id``; at most one of the ``eval_…`` fields. Without one, a tenth of
    the rows is held out.
    """

    file: Path | str | None = None
    rows: Rows | None = None
    dataset_id: str | None = None
    eval_file: Path | str | None = None
    eval_rows: Rows | None = None
    eval_dataset_id: str | None = None


class Tasks:
    """`/v1/tasks`."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def submit(
        self,
        model: str,
        data: TaskData | Path | str,
        *,
        name: str,
        spec: Mapping[str, Any] | None = None,
        expected_parent: str | None = None,
    ) -> Job:
        """Post a task and return its queued job.

        ``data`` may be a path for short. ``spec`` says how it is learned: ``{"method", "training": {"epochs"},
        "data": {"question", "options"}, …}``; what it leaves out takes its default. ``expected_parent`` (a version id)
        refuses the task when the model's head has moved.

        Raises:
            InvalidRequestError: the rows or the spec are not acceptable; its places say where.
            ValueError: ``data`` names no source of rows, or more than one.
        """
        source = data if isinstance(data, TaskData) else TaskData(file=data)
        fields = {
            "model": model,
            "name": name,
            "expected_parent": expected_parent,
            "dataset_id": source.dataset_id,
            "eval_dataset_id": source.eval_dataset_id,
        }
        given = {key: value for key, value in fields.items() if value is not None}
        with ExitStack() as stack:
            parts = _parts(source, stack)
            if not parts:
                return self._http.one(Job, "POST", "/v1/tasks", json={**given, "spec": dict(spec or {})})
            # The fields come before the files: the service reads the body as a stream.
            form = {**given, "spec": json.dumps(dict(spec or {}), allow_nan=False)}
            return self._http.one(Job, "POST", "/v1/tasks", data=form, files=parts)

    def get(self, task_id: str) -> Task:
        """Return one."""
        return self._http.one(Task, "GET", f"/v1/tasks/{task_id}")

    def list(self, *, model: str | None = None, limit: int | None = None) -> Iterator[Task]:
        """Yield all, or those of one model."""
        return self._http.pages(Task, "/v1/tasks", {"model": model}, limit=limit)


def _parts(source: TaskData, stack: ExitStack) -> dict[str, Part]:
    parts: dict[str, Part] = {}
    if source.dataset_id is None:
        parts["file"] = stack.enter_context(upload(source.file, source.rows))
    elif source.file is not None or source.rows is not None:
        raise ValueError("give either rows or the id of a dataset")
    if source.eval_file is not None or source.eval_rows is not None:
        parts["eval_file"] = stack.enter_context(upload(source.eval_file, source.eval_rows))
    return parts

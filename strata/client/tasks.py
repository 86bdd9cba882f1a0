"""The call that teaches: post a task, get a job."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from strata.client.result import Result
from strata.client.results import Estimate, Job, Task
from strata.client.transport import Transport
from strata.client.uploads import Rows, upload

M = TypeVar("M", bound=Result)


class Tasks:
    """`/v1/tasks`."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def submit(  # noqa: PLR0913 - one argument a field of the request
        self,
        model: str,
        file: Path | str | None = None,
        *,
        name: str,
        spec: Mapping[str, Any] | None = None,
        rows: Rows | None = None,
        dataset_id: str | None = None,
        eval_file: Path | str | None = None,
        eval_rows: Rows | None = None,
        eval_dataset_id: str | None = None,
        expected_parent: str | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Post a task and return its queued job.

        Args:
            model: its name or id.
            file: the task file; or give ``rows`` in memory, or the ``dataset_id`` of what was uploaded before.
            name: of the task, unique in its model.
            spec: how it is learned: ``{"method", "training": {"epochs"}, "data": {"question", "options"}, …}``; what
                it leaves out takes its default.
            rows: one mapping a row, with the same fields as the lines of a file.
            dataset_id: a dataset that is already there.
            eval_file: held-out rows; or ``eval_rows`` or ``eval_dataset_id``. Without one, a tenth is held out.
            eval_rows: held-out rows in memory.
            eval_dataset_id: held-out rows that are already there.
            expected_parent: a version's id; the task is refused when the model's head has moved from it.
            idempotency_key: the same call again with the same key returns the same job, for 24 hours.

        Raises:
            InvalidRequestError: the rows or the spec are not acceptable; its places say where.
            ValueError: not exactly one of ``file``, ``rows`` and ``dataset_id`` is given.
        """
        fields = {
            "model": model,
            "name": name,
            "dataset_id": dataset_id,
            "eval_dataset_id": eval_dataset_id,
            "expected_parent": expected_parent,
        }
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        given = _Given(fields=fields, spec=spec or {}, train=(file, rows), held_out=(eval_file, eval_rows))
        return self._post(Job, "/v1/tasks", given, headers)

    def estimate(  # noqa: PLR0913 - one argument a field of the request
        self,
        model: str,
        file: Path | str | None = None,
        *,
        spec: Mapping[str, Any] | None = None,
        rows: Rows | None = None,
        dataset_id: str | None = None,
        eval_file: Path | str | None = None,
        eval_rows: Rows | None = None,
        eval_dataset_id: str | None = None,
    ) -> Estimate:
        """Return what a task would take; it is checked as if it were posted, and nothing is queued or kept.

        The arguments are those of `submit`.
        """
        fields = {"model": model, "dataset_id": dataset_id, "eval_dataset_id": eval_dataset_id}
        given = _Given(fields=fields, spec=spec or {}, train=(file, rows), held_out=(eval_file, eval_rows))
        return self._post(Estimate, "/v1/tasks/estimate", given, {})

    def get(self, task_id: str) -> Task:
        """Return one."""
        return self._http.one(Task, "GET", f"/v1/tasks/{task_id}")

    def list(self, *, model: str | None = None, limit: int | None = None) -> Iterator[Task]:
        """Yield all, or those of one model."""
        return self._http.pages(Task, "/v1/tasks", {"model": model}, limit=limit)

    def _post(self, kind: type[M], path: str, given: "_Given", headers: Mapping[str, str]) -> M:
        fields = {key: value for key, value in given.fields.items() if value is not None}
        sides = (("file", *given.train), ("eval_file", *given.held_out))
        with ExitStack() as stack:
            parts = {
                key: stack.enter_context(upload(file, content))
                for key, file, content in sides
                if file is not None or content is not None
            }
            if ("file" in parts) == ("dataset_id" in fields):
                raise ValueError("give exactly one of file, rows and dataset_id")
            if not parts:
                return self._http.one(kind, "POST", path, json={**fields, "spec": dict(given.spec)}, headers=headers)
            # The fields come before the files: the service reads the body as a stream.
            form = {**fields, "spec": json.dumps(dict(given.spec), allow_nan=False)}
            return self._http.one(kind, "POST", path, data=form, files=parts, headers=headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What a task is posted with; a side is a file or rows in memory."""

    fields: Mapping[str, str | None]
    spec: Mapping[str, Any]
    train: tuple[Path | str | None, Rows | None]
    held_out: tuple[Path | str | None, Rows | None]

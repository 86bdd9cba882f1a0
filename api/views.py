"""From rows to answers: what each call shows of what the registry remembers."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from starlette.responses import Response

from api.context import Context
from api.schemas.base import View, timestamp, timestamp_or_none
from api.schemas.datasets import DatasetView
from api.schemas.models import BaseModelView, ModelView
from api.schemas.rebuilds import RebuildView
from api.schemas.tasks import EventView, JobErrorView, JobView, ProgressView, TaskView
from api.schemas.versions import VersionView
from core.datasets import rows
from core.datasets.catalogue import FORMATS
from core.datasets.containers import container
from core.datasets.messages import Messages
from core.domain.errors import MissingError
from core.domain.jobs import JobState
from core.domain.policies import ModelPolicy
from core.domain.records import BaseModel, Dataset, Event, Job, Model, Task, Version
from core.registry.work import Work
from core.services import base_models, gates, jobs, rebuild_accounts, versions
from core.services.jobs import Surroundings
from core.services.rebuild_accounts import Rebuild

_SAMPLE_CHARS = 300


def shown(view: View) -> Response:
    """Return an answer that shows ``view``, encoded here and now: a view that a route returns takes another thread."""
    return Response(view.model_dump_json(), media_type="application/json")


def base_model(row: BaseModel) -> BaseModelView:
    """Show a base model."""
    return BaseModelView(
        id=row.id,
        name=row.name,
        source=row.source,
        state=row.state,
        digest=row.digest,
        facts=None if row.facts is None else dict(row.facts),
        error=row.error,
        created_at=timestamp(row.created_ms),
    )


def model(work: Work, row: Model) -> ModelView:
    """Show a model and what its aliases name."""
    aliases = versions.aliases(work, project_id=row.project_id, model=row.id)
    numbers = {
        each.name: versions.get(work, project_id=row.project_id, version_id=each.version_id).number for each in aliases
    }
    return ModelView(
        id=row.id,
        created=row.created_ms // 1000,
        owned_by=row.project_id,
        name=row.name,
        base_model=base_models.get(work, name=row.base_model_id).name,
        method=dict(row.method),
        policy=ModelPolicy.model_validate(row.policy),
        aliases={name: f"{row.name}@{number}" for name, number in numbers.items()},
        created_at=timestamp(row.created_ms),
    )


def dataset(row: Dataset) -> DatasetView:
    """Show a dataset."""
    return DatasetView(
        id=row.id,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        container=container.of_report(row.report),
        format=row.format,
        n_rows=row.n_rows,
        labels=row.report.get("labels"),
        warnings=list(row.report.get("warnings", ())),
        created_at=timestamp(row.created_ms),
    )


def task(row: Task) -> TaskView:
    """Show a task."""
    return TaskView(
        id=row.id,
        model_id=row.model_id,
        name=row.name,
        dataset_id=row.dataset_id,
        eval_dataset_id=row.eval_dataset_id,
        effective_spec=dict(row.spec),
        template=dict(row.template),
        created_at=timestamp(row.created_ms),
    )


def version(work: Work, row: Version, *, model_name: str, aliases: tuple[str, ...]) -> VersionView:
    """Show a version under its model's name."""
    return VersionView(
        id=row.id,
        name=f"{model_name}@{row.number}",
        number=row.number,
        state=row.state,
        model_id=row.model_id,
        parent_id=row.parent_id,
        task_id=row.task_id,
        job_id=row.job_id,
        chain=list(row.chain),
        digest=row.digest,
        manifest_sha256=row.manifest_sha256,
        delta=None if row.delta is None else dict(row.delta),
        gate=gates.report_of(row),
        rebuild=rebuild(rebuild_accounts.of_version(work, row)),
        aliases=list(aliases),
        created_at=timestamp(row.created_ms),
    )


def rebuild(account: Rebuild | None) -> RebuildView | None:
    """Show what leaving tasks out comes to."""
    return None if account is None else RebuildView.model_validate(asdict(account))


def event(row: Event) -> EventView:
    """Show an event."""
    return EventView(
        n=row.n,
        subject_id=row.subject_id,
        kind=row.kind,
        at=timestamp(row.at_ms),
        from_state=row.from_state,
        to_state=row.to_state,
        actor=row.actor,
        data=dict(row.data),
    )


def job(context: Context, work: Work, row: Job, *, base_url: str) -> JobView:
    """Show a job with its task, its place in the queue, and how to try what it left."""
    return job_list(context, work, (row,), base_url=base_url)[0]


def job_list(context: Context, work: Work, rows: Sequence[Job], *, base_url: str) -> list[JobView]:
    """Show jobs as `job` does."""
    around = jobs.surroundings(work, rows)
    return [job_amid(context, work, row, around, base_url=base_url) for row in rows]


def job_amid(context: Context, work: Work, row: Job, around: Surroundings, *, base_url: str) -> JobView:
    """Show a job as `job` does, by what is known of its surroundings."""
    model = around.models.get(row.model_id or "")
    posted = around.tasks.get(row.task_id or "")
    left = around.results.get(row.result_version_id or "")
    result = f"{model.name}@{left.number}" if model and left else None
    served = result if row.state is JobState.SUCCEEDED else None
    return JobView(
        id=row.id,
        kind=row.kind,
        state=row.state,
        phase=row.phase,
        model_id=row.model_id,
        model=model.name if model else None,
        task_id=row.task_id,
        task=posted.name if posted else None,
        base_model_id=row.base_model_id,
        progress=_progress(row),
        queue_position=around.queue_positions.get(row.id),
        attempt=row.claims,
        cancel_requested=row.cancel_requested,
        pause_requested=row.pause_requested,
        effective_spec=dict(posted.spec) if posted else None,
        parent_version_id=row.parent_version_id,
        result_version_id=row.result_version_id,
        result_version=result,
        gate=gates.report_of(left) if left else None,
        retry_of=row.retry_of,
        rebuild=rebuild(rebuild_accounts.of_job(work, row)),
        error=JobErrorView(code=row.error_code, detail=row.error_detail) if row.error_code else None,
        try_it=_try_it(context, posted, around, result=served, base_url=base_url) if posted and served else None,
        created_at=timestamp(row.created_ms),
        started_at=timestamp_or_none(row.started_ms),
        finished_at=timestamp_or_none(row.finished_ms),
    )


def _progress(row: Job) -> ProgressView:
    percent = 100.0 * row.step / row.total_steps if row.total_steps else None
    return ProgressView(
        step=row.step,
        total_steps=row.total_steps,
        percent=100.0 if row.state is JobState.SUCCEEDED else percent,
        eta_seconds=row.eta_seconds,
    )


def _try_it(context: Context, posted: Task, around: Surroundings, *, result: str, base_url: str) -> str:
    sample = _sample(context, posted, around.datasets.get(posted.dataset_id))
    body = {"model": result, "task": posted.name, "input": sample}
    data = shlex.quote(json.dumps(body, ensure_ascii=False))
    return f"curl -s {base_url}/generate -H 'Content-Type: application/json' -d {data}"


def _sample(context: Context, posted: Task, file: Dataset | None) -> Mapping[str, Any]:
    """Return an input of the task's own kind: its first row, as far as it is still here."""
    form = FORMATS[posted.template["format"]]
    try:
        path = context.blobs.path(file.sha256) if file else None
    except MissingError:
        path = None
    if file and path:
        for first in islice(rows.read(path, container=container.of_report(file.report)), 1):
            return {name: _shortened(value) for name, value in form.inputs(first).items()}
    # Deleted since: any text will do.
    text = "Write your text here."
    return {form.columns[0]: [{"role": "user", "content": text}] if form.name == Messages.name else text}


def _shortened(value: Any) -> Any:
    if isinstance(value, list):
        return [message | {"content": message["content"][:_SAMPLE_CHARS]} for message in value]
    return value[:_SAMPLE_CHARS]

"""Which scope each route needs: the one table. A route that is not in it is for `admin` only."""

from typing import Final

from core.domain.access import Scope

# What tells nothing of any project answers everybody, e.g. the probes of whoever supervises the service.
SCOPES: Final[dict[str, Scope | None]] = {
    "GET /healthz": None,
    "GET /readyz": None,
    # Of the whole installation; `Settings.metrics_token` opens it too.
    "GET /metrics": Scope.ADMIN,
    "POST /v1/models": Scope.TRAIN,
    "GET /v1/models": Scope.READ,
    "GET /v1/models/{model}": Scope.READ,
    "PATCH /v1/models/{model}": Scope.TRAIN,
    "DELETE /v1/models/{model}": Scope.TRAIN,
    "POST /v1/tasks": Scope.TRAIN,
    "POST /v1/tasks/estimate": Scope.TRAIN,
    "GET /v1/tasks": Scope.READ,
    "GET /v1/tasks/{task_id}": Scope.READ,
    "GET /v1/jobs": Scope.READ,
    "GET /v1/jobs/{job_id}": Scope.READ,
    "POST /v1/jobs/{job_id}/cancel": Scope.TRAIN,
    "POST /v1/jobs/{job_id}/pause": Scope.TRAIN,
    "POST /v1/jobs/{job_id}/resume": Scope.TRAIN,
    "POST /v1/jobs/{job_id}/retry": Scope.TRAIN,
    "GET /v1/jobs/{job_id}/events": Scope.READ,
    "GET /v1/jobs/{job_id}/metrics": Scope.READ,
    "GET /v1/jobs/{job_id}/logs": Scope.READ,
    "POST /v1/datasets": Scope.TRAIN,
    "GET /v1/datasets": Scope.READ,
    "GET /v1/datasets/{dataset_id}": Scope.READ,
    "GET /v1/datasets/{dataset_id}/report": Scope.READ,
    "GET /v1/datasets/{dataset_id}/preview": Scope.READ,
    "DELETE /v1/datasets/{dataset_id}": Scope.TRAIN,
    "GET /v1/versions/{version}": Scope.READ,
    "DELETE /v1/versions/{version}": Scope.TRAIN,
    "GET /v1/models/{model}/versions": Scope.READ,
    "POST /v1/models/{model}/versions": Scope.TRAIN,
    "GET /v1/models/{model}/lineage": Scope.READ,
    "GET /v1/models/{model}/evaluations": Scope.READ,
    "GET /v1/versions/{version}/evaluations": Scope.READ,
    "GET /v1/models/{model}/report": Scope.READ,
    "GET /v1/models/{model}/aliases": Scope.READ,
    "GET /v1/models/{model}/aliases/{alias}": Scope.READ,
    "PUT /v1/models/{model}/aliases/{alias}": Scope.TRAIN,
    "DELETE /v1/models/{model}/aliases/{alias}": Scope.TRAIN,
    "POST /v1/models/{model}/rollback": Scope.TRAIN,
    "GET /v1/models/{model}/aliases/{alias}/history": Scope.READ,
    "POST /generate": Scope.GENERATE,
    "POST /v1/generate": Scope.GENERATE,
    "POST /v1/chat/completions": Scope.GENERATE,
    "POST /v1/completions": Scope.GENERATE,
    "POST /v1/files": Scope.TRAIN,
    "GET /v1/files": Scope.READ,
    "GET /v1/files/{file_id}": Scope.READ,
    "GET /v1/files/{file_id}/content": Scope.READ,
    "DELETE /v1/files/{file_id}": Scope.TRAIN,
    "POST /v1/fine_tuning/jobs": Scope.TRAIN,
    "GET /v1/fine_tuning/jobs": Scope.READ,
    "GET /v1/fine_tuning/jobs/{job_id}": Scope.READ,
    "GET /v1/fine_tuning/jobs/{job_id}/events": Scope.READ,
    "GET /v1/fine_tuning/jobs/{job_id}/checkpoints": Scope.READ,
    "POST /v1/fine_tuning/jobs/{job_id}/cancel": Scope.TRAIN,
    "POST /v1/fine_tuning/jobs/{job_id}/pause": Scope.TRAIN,
    "POST /v1/fine_tuning/jobs/{job_id}/resume": Scope.TRAIN,
    "GET /v1/methods": Scope.READ,
    # Base models belong to the installation: whoever adds one names files of the server.
    "POST /v1/base-models": Scope.ADMIN,
    "GET /v1/base-models": Scope.READ,
    "GET /v1/base-models/{name}": Scope.READ,
    "POST /v1/keys": Scope.ADMIN,
    "GET /v1/keys": Scope.ADMIN,
    "DELETE /v1/keys/{key_id}": Scope.ADMIN,
    "GET /v1/events": Scope.ADMIN,
    "GET /v1/projects/{project_id}": Scope.READ,
    "PATCH /v1/projects/{project_id}": Scope.ADMIN,
}


def needed(route: str) -> Scope | None:
    """Return the scope that a route, e.g. ``GET /v1/models``, needs; None when it answers everybody."""
    return SCOPES.get(route, Scope.ADMIN)

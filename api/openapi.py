"""The committed description of the API.

python -m api.openapi            writes openapi.json
python -m api.openapi --check    exits with 1 when it is not up to date
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from api import errors, scopes
from api.openai.chat import ChatCompletionRequest
from api.openai.completions import CompletionRequest
from api.openai.fine_tuning import FineTuningJobRequest
from api.schemas.exports import ExportRequest
from api.schemas.generation import GenerationRequest
from api.schemas.keys import KeyRequest, ProjectRequest
from api.schemas.models import BaseModelRequest, ModelChanges, ModelRequest
from api.schemas.tasks import EstimateRequest, TaskRequest
from api.schemas.versions import PromotionRequest, RebuildRequest, RollbackRequest

FILE: Final = Path(__file__).resolve().parent.parent / "openapi.json"
# Bodies that routes read themselves, see `api.bodies.described`.
_BODIES: Final = (
    EstimateRequest,
    BaseModelRequest,
    ChatCompletionRequest,
    CompletionRequest,
    ExportRequest,
    FineTuningJobRequest,
    GenerationRequest,
    KeyRequest,
    ModelChanges,
    ModelRequest,
    ProjectRequest,
    PromotionRequest,
    RebuildRequest,
    RollbackRequest,
    TaskRequest,
)


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the schemas of the bodies that routes read themselves."""
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _, bodies = models_json_schema(
            [(body, "validation") for body in _BODIES], ref_template="#/components/schemas/{model}"
        )
        schemas = described.setdefault("components", {}).setdefault("schemas", {})
        described["components"]["schemas"] = dict(sorted({**schemas, **bodies["$defs"]}.items()))
        _describe_problems(described)
        _describe_keys(described)
        app.openapi_schema = described
    return app.openapi_schema


def operation_id(route: APIRoute) -> str:
    """Return a stable, readable name for an operation, e.g. ``tasks_submit``."""
    prefix = "short_" if route.path == "/generate" else ""
    return f"{prefix}{route.endpoint.__module__.rpartition('.')[2]}_{route.name}"


def _describe_problems(described: dict[str, Any]) -> None:
    """Say that an error is a problem document and nothing else; the library describes it as plain JSON too."""
    for methods in described["paths"].values():
        for call in methods.values():
            for status in ("4XX", "5XX"):
                content = call["responses"][status]["content"]
                content[errors.MEDIA_TYPE] = content.pop("application/json")


def _describe_keys(described: dict[str, Any]) -> None:
    """Say of each call which scope its key needs, where keys are asked for."""
    described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, methods in described["paths"].items():
        for method, call in methods.items():
            scope = scopes.needed(f"{method.upper()} {path}")
            call["security"] = [] if scope is None else [{"key": [scope.value]}]


def main(arguments: Sequence[str]) -> int:
    """Write the document, or compare it."""
    from api.asgi import build
    from core.settings import Settings

    text = json.dumps(document(build(Settings())), indent=2, ensure_ascii=False) + "\n"
    if "--check" not in arguments:
        FILE.write_text(text, encoding="utf-8")
        return 0
    if FILE.is_file() and FILE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("openapi.json is not up to date: run python -m api.openapi\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

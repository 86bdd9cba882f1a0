"""What tests of the API hold in their hands."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import stage
from sqlalchemy import select
from starlette.testclient import TestClient

from core.domain.errors import StrataError
from core.registry import access_tables
from core.registry.work import Registry
from core.services import versions
from core.settings import Settings

MULTIPART = "multipart/form-data; boundary=xx"


class Echo:
    """An engine that answers with what it was asked, by the version that the registry names."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.version_id = ""
        self.fault: StrataError | None = None
        self.breaks_after: int | None = None
        self.closed = False

    def generate(self, request: dict[str, Any]) -> dict[str, Any]:
        self._take(request)
        return self._answer(str(request.get("prompt")), "stop") | {"usage": {"prompt_tokens": 3}}

    def stream(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self._take(request)
        try:
            for n, word in enumerate(str(request.get("prompt")).split()):
                if n == self.breaks_after:
                    raise StrataError("the engine broke off its answer", code="engine_unavailable")
                yield self._answer(word, None)
            yield self._answer("", "stop")
        finally:
            self.closed = True

    def check(self) -> None:
        if self.fault:
            raise self.fault

    def _take(self, request: dict[str, Any]) -> None:
        self.requests.append(request)
        if self.fault:
            raise self.fault

    def _answer(self, text: str, reason: str | None) -> dict[str, Any]:
        return {
            "id": "cmpl_1",
            "object": "text_completion",
            "created": 1,
            "model": "mdl_x:latest",
            "version_id": self.version_id,
            "choices": [{"index": 0, "text": text, "finish_reason": reason}],
        }


@dataclass
class Door:
    """A client of a running API, and what lies behind it."""

    client: TestClient
    registry: Registry
    settings: Settings
    wakes: stage.Wakes
    echo: Echo
    fields: dict[str, str] = field(default_factory=lambda: {"model": "desk", "name": "codes"})

    def post_task(self, *, fields: Mapping[str, str] | None = None, **files: bytes) -> Any:
        parts = {name: (f"{name}.jsonl", content) for name, content in files.items()}
        return self.client.post("/v1/tasks", data={**self.fields, **(fields or {})}, files=parts)

    def contents(self) -> tuple[dict[str, list[Any]], list[str]]:
        """Every row of every table, and every file of the data folder but the database's own."""
        with self.registry.read() as work:
            rows = {
                name: [tuple(row) for row in work.connection.execute(select(table)).all()]
                for name, table in access_tables.API_KEY.metadata.tables.items()
            }
        files = sorted(
            str(path.relative_to(self.settings.data_dir))
            for path in self.settings.data_dir.rglob("*")
            if path.is_file() or path.parent == self.settings.uploads_dir
        )
        return rows, files

    def resolve(self, reference: str) -> str:
        with self.registry.read() as work:
            return versions.resolve(work, project_id=stage.PROJECT, reference=reference).id


def labelled(n_rows: int, *, start: int = 0, labels: tuple[str, ...] = ("basalt", "ember")) -> bytes:
    rows = ({"text": f"note {n}", "label": labels[n % len(labels)]} for n in range(start, start + n_rows))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def prompted(n_rows: int) -> bytes:
    rows = ({"prompt": f"question {n}:", "completion": f" answer {n}"} for n in range(n_rows))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def places(answer: Any) -> list[list[Any]]:
    return [place["loc"] for place in answer.json()["errors"]]

"""What tests of the API hold in their hands."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import stage
from sqlalchemy import event as sql_event
from sqlalchemy import select
from starlette.testclient import TestClient

from core.domain.backends import Pieces, Question, Standing
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

    def generate(self, question: Question) -> dict[str, Any]:
        self._take(question.request)
        return self._answer(str(question.request.get("prompt")), "stop") | {"usage": {"prompt_tokens": 3}}

    def stream(self, question: Question) -> Pieces:
        self._take(question.request)
        try:
            for n, word in enumerate(str(question.request.get("prompt")).split()):
                if n == self.breaks_after:
                    raise StrataError("the engine broke off its answer", code="engine_unavailable")
                yield self._answer(word, None)
            yield self._answer("", "stop")
        finally:
            self.closed = True

    def standings(self) -> Mapping[str, Standing]:
        return {"engine": Standing(fault=self.fault.code if self.fault else None)}

    def metrics(self) -> Mapping[str, str]:
        return {} if self.fault else {"engine": "strata_engine_versions 1.0\n"}

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
        return contents(self.registry, self.settings)

    def resolve(self, reference: str) -> str:
        with self.registry.read() as work:
            return versions.resolve(work, project_id=stage.PROJECT, reference=reference).id


def contents(registry: Registry, settings: Settings) -> tuple[dict[str, list[Any]], list[str]]:
    """Every row of every table, and every file of the data folder but the database's own."""
    with registry.read() as work:
        rows = {
            name: [tuple(row) for row in work.connection.execute(select(table)).all()]
            for name, table in access_tables.API_KEY.metadata.tables.items()
        }
    files = sorted(
        str(path.relative_to(settings.data_dir))
        for path in settings.data_dir.rglob("*")
        if (path.is_file() and not path.name.startswith("registry.sqlite")) or path.parent == settings.uploads_dir
    )
    return rows, files


def statements(door: Door) -> list[str]:
    """Return a list that grows with every statement that the registry is sent."""
    asked: list[str] = []

    def note(*told: Any) -> None:
        if told[2] != "BEGIN":
            asked.append(told[2])

    # On PostgreSQL the reader is the writer with other options, and tells the writer's listeners.
    shared = door.registry._reader.pool is door.registry._writer.pool
    for engine in (door.registry._writer,) if shared else (door.registry._writer, door.registry._reader):
        sql_event.listen(engine, "before_cursor_execute", note)
    return asked


def labelled(n_rows: int, *, start: int = 0, labels: tuple[str, ...] = ("basalt", "ember")) -> bytes:
    rows = ({"text": f"note {n}", "label": labels[n % len(labels)]} for n in range(start, start + n_rows))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def prompted(n_rows: int) -> bytes:
    rows = ({"prompt": f"question {n}:", "completion": f" answer {n}"} for n in range(n_rows))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def places(answer: Any) -> list[list[Any]]:
    return [place["loc"] for place in answer.json()["errors"]]

"""The HTTP door of an installation with the real trainer on a tiny model, which has learned two tasks."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doors import Echo
from fastapi import FastAPI
from installation import Installation, prepare
from starlette.testclient import TestClient
from tiny_models import tiny_llama

from api.main import create_app
from core.dispatch.local import LocalDispatcher
from core.registry.work import Registry
from core.settings import Settings
from core.storage import opening

SPEC = {
    "method": "jumplora+ella+replay",
    # Of a layer as wide as it is high, whatever changes fits into an adapter.
    "adapter": {"target_modules": ["q_proj"]},
    "training": {"max_steps": 8, "batch_size": 4, "learning_rate": 0.01},
    "evaluation": {"max_rows": 4},
}


@dataclass(frozen=True)
class RealService:
    """A model `colours` that learned hue and tint, keeping rows."""

    app: FastAPI
    client: TestClient
    installation: Installation
    base: Path

    def post(self, task: str) -> None:
        files = {"file": (f"{task}.jsonl", rows(task))}
        self.client.post("/v1/tasks", data={"model": "colours", "name": task}, files=files).raise_for_status()


def rows(task: str) -> bytes:
    lines: list[dict[str, Any]] = [{"text": f"{task} {n}", "label": ("red", "blue")[n % 2]} for n in range(40)]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@contextmanager
def running(data: Path) -> Iterator[RealService]:
    """Open the service on a data folder that holds a migrated SQLite."""
    settings = Settings(data_dir=data, min_free_bytes=0, device="cpu", trainer_threads=1)
    with closing(Registry(settings.database_url)) as registry:
        prepare(registry)
        made = Installation(settings, registry, LocalDispatcher())
        base = tiny_llama(data / "ok")
        (base / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")
        made.add_base_model(f"folder:{base}")
        made.work_off()
        blobs = opening.blob_store(settings.blobs_dir, **settings.storage)
        app = create_app(settings, registry=registry, blobs=blobs, dispatcher=made.dispatcher, generator=Echo())
        with TestClient(app, base_url="http://127.0.0.1:8321") as client:
            service = RealService(app, client, made, base)
            body = {"name": "colours", "base_model": "tiny-ok", "method": SPEC, "policy": {"store_rows": True}}
            client.post("/v1/models", json=body).raise_for_status()
            for task in ("hue", "tint"):
                service.post(task)
            made.work_off()
            yield service

"""Tasks posted on what the furnished service has."""

from collections.abc import Callable
from typing import Any

from doors import Door


def dataset_of(door: Door, model: str = "desk") -> str:
    found: str = door.client.get(f"/v1/tasks?model={model}&order=asc").json()["data"][0]["dataset_id"]
    return found


def task(model: str = "desk", **fields: Any) -> Callable[[Door], Any]:
    """Return what posts a task on the model's own first file."""

    def send(door: Door) -> Any:
        body = {"model": model, "name": "never", "dataset_id": dataset_of(door), **fields}
        return door.client.post("/v1/tasks", json=body)

    return send


def posted(path: str, **body: Any) -> Callable[[Door], Any]:
    return lambda door: door.client.post(path, json=body)

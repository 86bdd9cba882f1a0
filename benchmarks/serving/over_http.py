"""The same answers over HTTP: from the engine's own door, and through the API in front of it."""

import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx
import uvicorn

from benchmarks.service import installation
from benchmarks.serving.load import ask_all
from benchmarks.serving.prompts import PROMPTS
from core.backends.engine import EngineClient
from core.domain.backends import Departure, Question
from core.services import models, versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.serving.engine import Engine
from tests.tiny_versions import SetSource, Shelf
from worker.compute.engine_http import create_app

_MODEL: Final = "model-0"
_CONCURRENCY: Final = 8


def figures(engine: Engine, source: SetSource, shelf: Shelf, *, rounds: int, max_tokens: int) -> dict[str, Any]:
    """Return tokens per second with 8 callers without HTTP, at the engine's door and at the API's; and what a call adds."""
    with tempfile.TemporaryDirectory(prefix="strata-bench-") as folder, installation.sqlite(Path(folder)) as service:
        reference = _known_to_both(service, source, shelf)
        address = service.settings.engine_address
        with _served(engine, address), service.api():
            door = EngineClient(address)
            url = f"http://127.0.0.1:{service.port}/v1/generate"
            with httpx.Client(headers={"Authorization": f"Bearer {service.key}"}, timeout=300, trust_env=False) as http:

                def through_door(prompt: str, most: int) -> int:
                    answer = door.generate(_question(reference, prompt, most))
                    return int(answer["usage"]["completion_tokens"])

                def through_api(prompt: str, most: int) -> int:
                    answer = http.post(url, json={"model": _MODEL, "prompt": prompt, "max_tokens": most})
                    return int(answer.raise_for_status().json()["usage"]["completion_tokens"])

                def inside(prompt: str, most: int) -> int:
                    return ask_all(engine, reference, [prompt], max_tokens=most)[1][0].tokens

                ways = {"engine": inside, "engine_http": through_door, "api": through_api}
                return {
                    "concurrency": _CONCURRENCY,
                    "tokens_per_second": _rates(ways, rounds=rounds, max_tokens=max_tokens),
                    "added_milliseconds_p50": _added(ways, calls=10 * rounds),
                }


def _question(reference: str, prompt: str, most: int) -> Question:
    request: dict[str, object] = {"model": reference, "prompt": prompt, "max_tokens": most}
    return Question(request=request, model_id=reference.partition(":")[0], version_id="", departure=Departure())


def _rates(ways: dict[str, Any], *, rounds: int, max_tokens: int) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in ways}
    with ThreadPoolExecutor(_CONCURRENCY) as callers:
        for number in range(rounds):
            for name, way in ways.items():
                prompts = [f"({name} {number}) {prompt}" for prompt in PROMPTS[:_CONCURRENCY]]
                began = time.perf_counter()
                written = sum(callers.map(way, prompts, [max_tokens] * _CONCURRENCY))
                found[name].append(written / (time.perf_counter() - began))
    return {name: round(statistics.median(rates), 1) for name, rates in found.items()}


def _added(ways: dict[str, Any], *, calls: int) -> dict[str, float]:
    """Return what each way of asking for one token takes more than asking inside the process does, at the median."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(calls):
        for name, way in ways.items():
            began = time.perf_counter()
            way("The", 1)
            taken[name].append(time.perf_counter() - began)
    inside = statistics.median(taken.pop("engine"))
    return {name: round(1000 * (statistics.median(each) - inside), 2) for name, each in taken.items()}


def _known_to_both(service: installation.Installation, source: SetSource, shelf: Shelf) -> str:
    """Let the engine's source name the version that the API's registry knows."""
    with service.registry.read() as work:
        model = models.get(work, project_id=PROJECT, reference=_MODEL)
        version = versions.resolve(work, project_id=PROJECT, reference=_MODEL)
    return source.point("latest", replace(shelf.original(model.id), version_id=version.id))


@contextmanager
def _served(engine: Engine, address: str) -> Iterator[None]:
    """Serve a running engine on its socket."""
    path = Path(address.removeprefix("unix:"))
    path.parent.mkdir(parents=True, exist_ok=True)
    app = create_app(engine, secret=None, poll_seconds=0.5, load_timeout_seconds=60)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        # The engine runs already: its door is opened without starting it again.
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield
        server.should_exit = True
        thread.join()

"""The real API over real HTTP, for the client and the command line; only the engine is a stand-in."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import stage
from listening import Listening
from loopback import served

from api.main import create_app
from core.domain.backends import Pieces, Question, Standing
from core.registry.work import Registry
from core.settings import Settings
from core.storage.blobs import LocalBlobStore
from strata import Client


class Parrot:
    """An engine that says the prompt's last line again, word by word, by the version that it is told."""

    def __init__(self) -> None:
        self.version_id = ""

    def generate(self, question: Question) -> dict[str, Any]:
        return self._answer(str(question.request["prompt"]).splitlines()[-1])

    def stream(self, question: Question) -> Pieces:
        for word in str(question.request["prompt"]).splitlines()[-1].split():
            yield self._answer(f"{word} ")

    def standings(self) -> Mapping[str, Standing]:
        return {"engine": Standing(fault=None)}

    def metrics(self) -> Mapping[str, str]:
        return {}

    def _answer(self, text: str) -> dict[str, Any]:
        choice = {"index": 0, "text": text, "finish_reason": "stop"}
        names = {"id": "cmpl_1", "object": "text_completion", "created": 1, "model": "m", "version_id": self.version_id}
        return {**names, "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}


@pytest.fixture
def listening(tmp_path: Path, database_url: str, registry: Registry) -> Iterator[Listening]:
    stage.ready_base(registry)
    parrot = Parrot()
    settings = Settings(data_dir=tmp_path / "data", database_url=database_url, poll_seconds=0.02)
    blobs = LocalBlobStore(settings.blobs_dir)
    app = create_app(settings, registry=registry, blobs=blobs, dispatcher=stage.Wakes(), generator=parrot)
    with served(app) as url, Client(url) as client:
        yield Listening(url=url, client=client, registry=registry, engine=parrot)

"""A shelf of tiny versions, and an engine over it that runs in the test's own thread."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from core.domain.identifiers import new_id
from core.serving.engine import Engine
from core.serving.loading import LiveVersion, VersionLoader
from core.serving.requests import CompletionRequest, Piece
from tests.tiny_models import tiny_llama, tiny_t5
from tests.tiny_versions import SetSource, Shelf

MANY_BYTES = 10**12


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    root = tmp_path_factory.mktemp("llama-shelf")
    return Shelf(root, tiny_llama(root / "base"))


@pytest.fixture(scope="session")
def t5_shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    root = tmp_path_factory.mktemp("t5-shelf")
    return Shelf(root, tiny_t5(root / "base"))


@pytest.fixture
def source() -> SetSource:
    return SetSource()


@pytest.fixture
def load(tmp_path: Path) -> Callable[[Shelf], VersionLoader]:
    """Return a way to make a loader with a cache of its own over a shelf."""

    def make(shelf: Shelf) -> VersionLoader:
        return VersionLoader(artefacts=shelf.artefacts, cache=tmp_path / new_id("cache"), device=torch.device("cpu"))

    return make


@dataclass
class Answer:
    """The pieces of one answer as they came."""

    pieces: list[Piece] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def last(self) -> Piece:
        return self.pieces[-1]


@dataclass
class Desk:
    """Hands requests for one version to an engine whose decoding runs when the test says so."""

    engine: Engine
    version: LiveVersion

    def ask(self, prompt: str, **fields: object) -> Answer:
        request = CompletionRequest.model_validate({"model": "m", "prompt": prompt, **fields})
        answer = Answer()
        self.engine.scheduler.submit(self.engine.prepare(request, self.version, answer.pieces.append))
        return answer

    def work(self, *answers: Answer) -> None:
        for _ in range(2000):
            if all(answer.pieces and answer.last.is_last for answer in answers):
                return
            self.engine.scheduler.tick()
        pytest.fail("not answered within 2000 steps")

    def answer(self, prompt: str, **fields: object) -> Answer:
        answer = self.ask(prompt, **fields)
        self.work(answer)
        return answer


@pytest.fixture
def desk(shelf: Shelf, source: SetSource, load: Callable[[Shelf], VersionLoader]) -> Desk:
    loader = load(shelf)
    return Desk(Engine(source=source, loader=loader, memory_bytes=MANY_BYTES), loader.load(shelf.original()))


@pytest.fixture
def t5_desk(t5_shelf: Shelf, source: SetSource, load: Callable[[Shelf], VersionLoader]) -> Desk:
    loader = load(t5_shelf)
    return Desk(Engine(source=source, loader=loader, memory_bytes=MANY_BYTES), loader.load(t5_shelf.original()))

"""The vLLM servers that answer for one alias, and which version each of them holds."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import structlog

from core.backends.member import Member
from core.backends.openai_server import OpenAIServer
from core.domain.backends import Departure, Live, Offer, Pieces, Question
from core.domain.errors import UnavailableError
from worker.compute.vllm.control import VllmControl
from worker.compute.vllm.ways import Way

log = structlog.get_logger(__name__)

_PROBE: Final[dict[str, object]] = {"model": "", "prompt": "The", "max_tokens": 1}


class HeldServer:
    """One server as a `core.domain.ports.Backend` of the one version that it holds.

    Args:
        address: ``http://host:port``, without ``/v1``.
        reference: ``<model id>:<alias>`` that it answers for.
        key: its API key.
        answer_seconds: longest wait for the next bytes of an answer.
    """

    def __init__(self, address: str, *, reference: str, key: str | None, answer_seconds: float) -> None:
        self.address = address
        self.version_id: str | None = None
        self._model_id, _, self._alias = reference.partition(":")
        self._key = key
        self._answer_seconds = answer_seconds
        self._speaking: OpenAIServer | None = None

    def hold(self, version_id: str, *, name: str) -> None:
        """Note which version it holds, and under which name."""
        self._speaking = OpenAIServer(
            f"{self.address}/v1",
            serves={version_id: name},
            key=self._key,
            dialect="vllm",
            timeout_seconds=self._answer_seconds,
        )
        self.version_id = version_id

    def drop(self) -> None:
        """Note that nobody knows what it holds."""
        self._speaking = self.version_id = None

    def generate(self, question: Question) -> dict[str, Any]:
        """Answer in one piece, by the version that it holds."""
        server, asked = self._asked(question)
        return server.generate(asked)

    def stream(self, question: Question) -> Pieces:
        """Answer in pieces, by the version that it holds."""
        server, asked = self._asked(question)
        return server.stream(asked)

    def look(self) -> Offer:
        """Return the version that it holds, if it still names it."""
        server, _ = self._asked(Question(dict(_PROBE), self._model_id, "", Departure()))
        live = tuple(
            Live(version_id=each.version_id, model_id=self._model_id, aliases=frozenset({self._alias}))
            for each in server.look().live
        )
        if not live:
            raise UnavailableError("the server does not name the version", code="engine_unavailable")
        return Offer(live=live, loads=False)

    def metrics(self) -> str:
        """Return nothing: vLLM tells its own."""
        return ""

    def probe(self) -> None:
        """Let it write one token.

        Raises:
            StrataError: it does not.
        """
        self.generate(Question(dict(_PROBE), self._model_id, "", Departure()))

    def _asked(self, question: Question) -> tuple[OpenAIServer, Question]:
        server, version_id = self._speaking, self.version_id
        if server is None or version_id is None:
            raise UnavailableError("the server holds no version yet", code="engine_unavailable")
        return server, replace(question, version_id=version_id)


class FleetServer:
    """A server of the fleet: what answers, what controls it, and how it is changed.

    Args:
        held: the server as a backend.
        control: its own pages.
        way: how it gets another version.
        drain_seconds: how long answers under way may take on before it is changed; then they break off.
    """

    def __init__(self, held: HeldServer, control: VllmControl, way: Way, *, drain_seconds: float) -> None:
        self.held = held
        self.member = Member(held.address.partition("://")[2], held)
        self._control = control
        self._way = way
        self._drain_seconds = drain_seconds

    def recognise(self) -> None:
        """Take up what the server itself says that it holds, e.g. after this process was started again."""
        try:
            version_id = self._way.known(self._control)
        except UnavailableError:
            version_id = None
        if version_id is None:
            self.member.hold(within_seconds=0)
            self.held.drop()
            return
        self.held.hold(version_id, name=self._way.name(version_id))
        self.member.look()

    def is_astray(self) -> bool:
        """Say whether a server that fell out says by now that it holds another version: somebody started it again."""
        if not self.member.is_out or self.held.version_id is None:
            return False
        try:
            return self._way.known(self._control) not in {None, self.held.version_id}
        except UnavailableError:
            return False

    def change(self, version_id: str, folder: Path) -> None:
        """Drain the server, give it a version, see it answer, and let requests come again.

        Raises:
            StrataError: it did not work out: requests are kept from it, and nobody knows what it holds.
        """
        if not self.member.hold(within_seconds=self._drain_seconds):
            log.warning("vllm.drain_cut_short", server=self.member.name, requests=self.member.standing.requests)
        self.held.drop()
        self._way.change(self.held.address, self._control, version_id=version_id, folder=folder)
        self.held.hold(version_id, name=self._way.name(version_id))
        try:
            self.held.probe()
        except BaseException:
            self.held.drop()
            raise
        self.member.look()
        self.member.release()

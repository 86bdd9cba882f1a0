"""A server that speaks OpenAI's API, behind the `core.domain.ports.Backend` port.

It answers by versions that somebody gave it under names of its own, and is asked for no other: what it says it is.
"""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from core.backends import openai_answers, openai_errors, openai_requests
from core.backends.exchange import CONNECT_SECONDS, DONE, Address, Answer
from core.backends.openai_requests import Dialect
from core.domain.backends import Live, Offer, Pieces, Question
from core.domain.errors import UnavailableError
from core.domain.identifiers import new_id

_SUCCESS: Final = 200


class OpenAIServer:
    """Speaks to one server. It opens no connection before the first call.

    Args:
        address: up to and without ``/completions``.
        serves: ids of versions, and the name that the server knows each by.
        key: its API key.
        dialect: what it understands beyond OpenAI's own fields.
        timeout_seconds: longest wait for the next bytes of an answer.
    """

    def __init__(
        self,
        address: str,
        *,
        serves: Mapping[str, str],
        key: str | None = None,
        dialect: Dialect = "openai",
        timeout_seconds: float = 120.0,
    ) -> None:
        self._serves = dict(serves)
        self._dialect = dialect
        self._address = Address(address, token=key, timeout_seconds=timeout_seconds)

    def generate(self, question: Question) -> dict[str, Any]:
        """Answer in one piece.

        Raises:
            InvalidError: the server refuses the request, or cannot do what it asks for.
            UnavailableError: it does not answer, is busy, or took longer than the request allows.
        """
        path, body = self._asked(question, stream=False)
        with self._exchange(question, path, body) as answer:
            openai_errors.require_success(answer)
            told = json.loads(answer.read())
            choices = [openai_answers.choice(each) for each in told["choices"]]
            return self._envelope(question) | {"choices": choices, "usage": openai_answers.usage(told["usage"])}

    def stream(self, question: Question) -> Pieces:
        """Answer in pieces; closing the iterator closes the connection, which tells the server to stop.

        Raises:
            StrataError: as `generate`, at the first piece or later.
        """
        path, body = self._asked(question, stream=True)
        envelope = self._envelope(question)
        with self._exchange(question, path, body) as answer:
            openai_errors.require_success(answer)
            for piece in openai_answers.pieces(_chunks(answer)):
                yield envelope | piece

    def look(self) -> Offer:
        """Return which of the versions that it was given the server names.

        Raises:
            UnavailableError: it does not answer, or does not take the key.
        """
        with self._address.exchange("GET", "/models", timeout_seconds=CONNECT_SECONDS) as answer:
            openai_errors.require_success(answer)
            named = {str(each.get("id")) for each in answer.json().get("data", ())}
        live = tuple(
            Live(version_id=version_id, model_id=None) for version_id, name in self._serves.items() if name in named
        )
        return Offer(live=live, loads=False)

    def metrics(self) -> str:
        """Return nothing: whoever runs the server scrapes it by itself."""
        return ""

    def _asked(self, question: Question, *, stream: bool) -> tuple[str, dict[str, Any]]:
        name = self._serves.get(question.version_id)
        if name is None:
            raise UnavailableError("the server does not hold the version", code="engine_unavailable")
        return openai_requests.asked(question.request, name=name, dialect=self._dialect, stream=stream)

    def _exchange(self, question: Question, path: str, body: dict[str, Any]) -> Any:
        return self._address.exchange(
            "POST",
            path,
            body,
            departure=question.departure,
            deadline_seconds=openai_requests.deadline_seconds(question.request),
        )

    def _envelope(self, question: Question) -> dict[str, Any]:
        return {
            "id": new_id("cmpl"),
            "object": "text_completion",
            "created": int(time.time()),
            "model": question.request["model"],
            "version_id": question.version_id,
        }


def _chunks(answer: Answer) -> Iterator[dict[str, Any]]:
    for data in answer.events():
        if data == DONE:
            return
        chunk = json.loads(data)
        if "error" in chunk:
            raise UnavailableError("the server broke off its answer", code="engine_unavailable")
        yield chunk
    raise UnavailableError("the server broke off its answer", code="engine_unavailable")

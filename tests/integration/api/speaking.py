"""An engine that a test tells what to say."""

from typing import Any, Final

from core.domain.backends import Pieces, Question
from core.domain.errors import UnavailableError

TOKENS: Final = [
    {"token": "He", "token_id": 1, "logprob": -0.5, "top": [{"token": "He", "token_id": 1, "logprob": -0.5}]},
    {"token": "llo \ufffd", "token_id": 2, "logprob": -1.5, "top": [{"token": "y", "token_id": 3, "logprob": -0.25}]},
]


class Speaker:
    """An engine that gives the answers it was told to, in the words of the real one."""

    def __init__(self, version_id: str) -> None:
        self.requests: list[dict[str, Any]] = []
        self.fault: Exception | None = None
        self.breaks_off = False
        self._version_id = version_id

    def generate(self, question: Question) -> dict[str, Any]:
        request: dict[str, Any] = question.request
        self._take(request)
        choices = [self._choice(n, "Hello there.", "stop", request) for n in range(request.get("n", 1))]
        return self._piece(choices) | {"usage": {"prompt_tokens": 7, "completion_tokens": 3}}

    def stream(self, question: Question) -> Pieces:
        request: dict[str, Any] = question.request
        self._take(request)
        for n in range(request.get("n", 1)):
            yield self._piece([self._choice(n, "Hello", None, request)])
            if self.breaks_off:
                raise UnavailableError("the engine broke off its answer", code="engine_unavailable")
            yield self._piece([self._choice(n, " there.", "stop", request)])
        yield self._piece([]) | {"usage": {"prompt_tokens": 7, "completion_tokens": 3}}

    def _take(self, request: dict[str, Any]) -> None:
        self.requests.append(request)
        if self.fault:
            raise self.fault

    def _choice(self, index: int, text: str, reason: str | None, request: dict[str, Any]) -> dict[str, Any]:
        told = {"logprobs": TOKENS} if "logprobs" in request else {}
        return {"index": index, "text": text, "finish_reason": reason, **told}

    def _piece(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        names = {"id": "cmpl_17", "object": "text_completion", "created": 1, "model": "m"}
        return {**names, "version_id": self._version_id, "choices": choices}

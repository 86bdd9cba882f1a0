"""The call that asks."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from strata.client.errors import StrataAPIError, UnexpectedAnswerError, from_problem
from strata.client.results import Generation
from strata.client.sse import decode
from strata.client.transport import Transport

STATUS_OF_A_BROKEN_STREAM = 503


class Generations:
    """`/v1/generate`."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def generate(self, model: str, prompt: str | None = None, **fields: Any) -> Generation:
        """Return one answer.

        ``model`` is ``name``, ``name@3``, ``name:alias`` or a version id. Ask by ``prompt``, by ``messages=[…]``, or by
        ``task="name", input={"text": …}``, which renders the prompt as that task was trained. Further fields:
        ``max_tokens``, ``temperature``, ``top_p``, ``top_k``, ``repetition_penalty``, ``seed``, ``stop``, ``n``,
        ``logprobs``, ``choices=[…]`` (the answer is one of them) and ``timeout_seconds``.
        """
        return self._http.one(Generation, "POST", "/v1/generate", json=_body(model, prompt, fields))

    def stream(self, model: str, prompt: str | None = None, **fields: Any) -> Iterator[Generation]:
        """Yield the same answer piece by piece; the last piece carries the finish reason.

        Raises:
            StrataAPIError: also in mid-stream, when the service says so there.
        """
        body = {**_body(model, prompt, fields), "stream": True}
        with self._http.stream("POST", "/v1/generate", json=body) as chunks:
            for event in decode(chunks):
                if event.data == "[DONE]":
                    return
                yield self._piece(event.data)
        raise UnexpectedAnswerError("the stream broke off before its end")

    def _piece(self, data: str) -> Generation:
        try:
            piece = json.loads(data)
        except ValueError as error:
            raise UnexpectedAnswerError("a piece of the stream cannot be read") from error
        if "choices" not in piece:
            raise _fault(piece, self._http.base_url)
        return self._http.parsed(Generation, piece)


def _body(model: str, prompt: str | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in fields.items() if value is not None}
    return {"model": model, **({} if prompt is None else {"prompt": prompt}), **given}


def _fault(piece: Mapping[str, Any] | Sequence[Any], address: str) -> StrataAPIError:
    problem = piece.get("error", piece) if isinstance(piece, Mapping) else piece
    if isinstance(problem, Mapping) and "message" in problem:
        problem = {"detail": problem["message"], **problem}
    return from_problem(STATUS_OF_A_BROKEN_STREAM, problem, address=address)

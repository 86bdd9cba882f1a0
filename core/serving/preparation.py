"""A request becomes the sequences that answer it: encoded for a version, and refused where it can never be answered."""

import threading
from collections.abc import Sequence as List

from core.domain.errors import InvalidError, Place
from core.serving.loading import LiveVersion
from core.serving.options import Options
from core.serving.requests import CompletionRequest
from core.serving.sequence import Sequence
from core.weights.chat import encode_chat
from core.weights.tokens import encode_prompt, encode_text


class Preparation:
    """Encodes requests, from any thread."""

    def __init__(self) -> None:
        # Tokenizers switch between ways of encoding in place: one thread at a time.
        self._encoding = threading.Lock()

    def sequences(self, request: CompletionRequest, version: LiveVersion) -> list[Sequence]:
        """Return the ``n`` answers to a request, still empty.

        Raises:
            InvalidError: ``context_length_exceeded`` or ``exceeds_engine_memory``: prompt and answer are too long, with
                the numbers; or the choices cannot be told apart.
        """
        with self._encoding:
            prompt = self._prompt(request, version)
            choices = {choice: encode_text(version.tokenizer, choice) for choice in request.choices or ()}
        asked = _asked(request)
        longest_choice = max(map(len, choices.values()), default=0)
        room = _room(version, prompt, asked=asked, least=max(longest_choice, 1))
        most_written = longest_choice or min(request.max_tokens, room)
        _require_memory(version, len(prompt) + most_written, asked=asked)
        return [
            Sequence(
                request,
                version,
                prompt=prompt,
                most_written=most_written,
                options=Options(choices, version.end_tokens) if choices else None,
                index=index,
            )
            for index in range(request.n)
        ]

    def _prompt(self, request: CompletionRequest, version: LiveVersion) -> list[int]:
        if request.messages is not None:
            return encode_chat(version.tokenizer, [message.model_dump() for message in request.messages])
        return encode_prompt(version.tokenizer, request.prompt or "", version.facts.family)


def _asked(request: CompletionRequest) -> str:
    return "prompt" if request.messages is None else "messages"


def _room(version: LiveVersion, prompt: List[int], *, asked: str, least: int) -> int:
    """Return how many tokens of an answer the context has room for, which must be ``least``."""
    facts = version.facts
    room = facts.context_tokens if facts.family == "seq2seq" else facts.context_tokens - len(prompt)
    if room < least or len(prompt) > facts.context_tokens or not prompt:
        most = facts.context_tokens if facts.family == "seq2seq" else facts.context_tokens - least
        raise InvalidError(
            "the prompt does not fit the model's context",
            code="context_length_exceeded",
            places=[Place(loc=(asked,), message=f"is {len(prompt)} tokens; the model takes 1 to {most}")],
        )
    return room


def _require_memory(version: LiveVersion, tokens: int, *, asked: str) -> None:
    """Refuse at once what would wait for ever: more tokens than the room that all answers share."""
    if version.decoder is not None and tokens > version.decoder.room.tokens:
        message = f"with max_tokens it takes {tokens} tokens; the engine has memory for {version.decoder.room.tokens}"
        raise InvalidError(
            "prompt and answer together need more memory than the engine has for answers",
            code="exceeds_engine_memory",
            places=[Place(loc=(asked,), message=message)],
        )

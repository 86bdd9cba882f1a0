"""The engine's request, told as OpenAI's API takes it; what a server cannot do is refused before it is asked."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from core.domain.errors import InvalidError, Place

Dialect = Literal["openai", "vllm"]

# The engine's own defaults, said aloud: those of servers differ.
_DEFAULTS: Final[dict[str, Any]] = {"max_tokens": 128, "temperature": 0.0}
_SAME: Final = ("max_tokens", "temperature", "top_p", "seed", "stop", "n")
# vLLM's extra parameters, by OpenAI's clients given in `extra_body`.
_EXTRA: Final = ("top_k", "repetition_penalty")


def asked(request: Mapping[str, Any], *, name: str, dialect: Dialect, stream: bool) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that ask a server what ``request`` asks an engine.

    Args:
        request: `core.serving.requests.CompletionRequest`.
        name: the version's at the server.
        dialect: what the server understands.
        stream: ask for the answer in pieces.

    Raises:
        InvalidError: the request wants what servers of this dialect cannot do.
    """
    _require_possible(request, dialect)
    body = {"model": name, **_DEFAULTS, **{key: request[key] for key in (*_SAME, *_EXTRA) if key in request}}
    if request.get("choices"):
        # Exactly one of them, whatever `max_tokens` says; no token is shorter than a byte.
        body["structured_outputs"] = {"choice": list(request["choices"])}
        body["max_tokens"] = max(len(choice.encode()) for choice in request["choices"]) + 1
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if "messages" in request:
        return "/chat/completions", body | {"messages": request["messages"]} | _chat_logprobs(request)
    return "/completions", body | {"prompt": request["prompt"]} | _prompt_logprobs(request)


def deadline_seconds(request: Mapping[str, Any]) -> float | None:
    """Return how long the answer may take, if the request says so."""
    said = request.get("timeout_seconds")
    return None if said is None else float(said)


def _require_possible(request: Mapping[str, Any], dialect: Dialect) -> None:
    if dialect == "vllm":
        return
    wanted = [key for key in (*_EXTRA, "choices") if request.get(key) is not None]
    if wanted:
        places = [
            Place(loc=(key,), message="is not known to the server that answers for this version") for key in wanted
        ]
        raise InvalidError(f"the server that answers for this version cannot do: {', '.join(wanted)}", places=places)


def _prompt_logprobs(request: Mapping[str, Any]) -> dict[str, Any]:
    return {} if request.get("logprobs") is None else {"logprobs": request["logprobs"]}


def _chat_logprobs(request: Mapping[str, Any]) -> dict[str, Any]:
    top = request.get("logprobs")
    return {} if top is None else {"logprobs": True, "top_logprobs": top}

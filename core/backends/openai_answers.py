"""Answers of OpenAI's API, told as the engine tells its own."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from core.domain.errors import UnavailableError

_REASONS: Final = frozenset({"stop", "length"})


def choice(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return one choice of an answer, or of a chunk of one, of either call.

    Raises:
        UnavailableError: the server gave it up.
    """
    said = told.get("message") or told.get("delta")
    reason = told.get("finish_reason")
    if reason is not None and reason not in _REASONS:
        raise UnavailableError(f"the server ended its answer early ({reason})", code="engine_unavailable")
    return {
        "index": told.get("index", 0),
        "text": told.get("text") or (said or {}).get("content") or "",
        "finish_reason": reason,
        "logprobs": _logprobs(told.get("logprobs")),
    }


def usage(told: Mapping[str, Any]) -> dict[str, int]:
    """Return the tokens read and written."""
    return {key: int(told.get(key) or 0) for key in ("prompt_tokens", "completion_tokens")}


def pieces(chunks: Iterator[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the pieces of an answer; the usage, which comes after its last choice, goes with that one."""
    held: dict[str, Any] | None = None
    for chunk in chunks:
        told = [choice(each) for each in chunk.get("choices", ())]
        if held is not None and told:
            yield held
            held = None
        if chunk.get("usage") and held is not None:
            held["usage"] = usage(chunk["usage"])
        if any(each["finish_reason"] for each in told):
            held = {"choices": told}
            if chunk.get("usage"):
                held["usage"] = usage(chunk["usage"])
        elif any(each["text"] or each["logprobs"] for each in told):
            yield {"choices": told}
    if held is not None:
        yield held


def _logprobs(told: Mapping[str, Any] | None) -> list[dict[str, Any]] | None:
    if not told:
        return None
    if "content" in told:
        return [
            _token(each) | {"top": [_token(likely) for likely in each.get("top_logprobs") or ()]}
            for each in told["content"] or ()
        ]
    tops = told.get("top_logprobs") or [None] * len(told["tokens"])
    return [
        _token({"token": token, "logprob": logprob})
        | {"top": [_token({"token": text, "logprob": value}) for text, value in (top or {}).items()]}
        for token, logprob, top in zip(told["tokens"], told["token_logprobs"], tops, strict=True)
    ]


def _token(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a token without its id, which OpenAI's API does not tell."""
    return {"token": told["token"], "token_id": None, "logprob": float(told["logprob"])}

"""One answer while it is decoded: its prompt, its sampler, the text so far and the end."""

import math
import time

from torch import Tensor

from core.domain.errors import StrataError, UnavailableError
from core.serving.loading import LiveVersion
from core.serving.options import Options
from core.serving.requests import (
    CompletionRequest,
    FinishReason,
    LikelyToken,
    Piece,
    Ticket,
    Usage,
    WrittenToken,
)
from core.serving.sampling import Sampler, likelihoods
from core.serving.text_stream import TextStream


class Sequence:
    """An answer on its way. It holds its version, so a flip does not touch it.

    Args:
        request: what was asked.
        version: who answers.
        prompt: what was asked, in tokens.
        most_written: the most tokens that the answer may have.
        options: what it may be, where it is a choice.
        index: its number among the answers to the same request.
    """

    def __init__(
        self,
        request: CompletionRequest,
        version: LiveVersion,
        *,
        prompt: list[int],
        most_written: int,
        options: Options | None = None,
        index: int = 0,
    ) -> None:
        self.version = version
        self.prompt = prompt
        self.done = False
        self.written = 0
        # How it ended, once it has: by a finish reason, or as failed.
        self.outcome: str | None = None
        # On the monotonic clock, and whether a first token was chosen since.
        self.submitted_at = 0.0
        self.begun = False
        # On the same clock: a later answer is none.
        self.deadline = math.inf
        self.ticket: Ticket
        self._index = index
        self._most_written = most_written
        self._options = options
        self._sampler = Sampler.of(request, answer=index)
        self._text = TextStream(version.tokenizer, request.stop)
        self._seen = set(prompt)
        self._top = request.logprobs
        self._logprobs: list[WrittenToken] = []

    @property
    def most_tokens(self) -> int:
        """Tokens of the prompt and of the longest answer."""
        return len(self.prompt) + self._most_written

    @property
    def is_over(self) -> bool:
        """Say whether it wants no more tokens: it is answered, failed, too late, or nobody waits for it any more."""
        if not self.done and not self.ticket.cancelled and time.monotonic() >= self.deadline:
            self.fail(UnavailableError("the answer was not complete in time", code="deadline_exceeded"))
        return self.done or self.ticket.cancelled

    def advance(self, logits_V: Tensor) -> int:
        """Choose the next token, pass its text on and return its id; sets ``done`` when it was the last one."""
        allowed = None if self._options is None else self._options.allowed()
        token = self._sampler.choose(logits_V, seen=self._seen, allowed=allowed)
        if self._options is not None:
            self._choose(self._options, token, logits_V)
        elif token in self.version.end_tokens:
            self._finish("stop", self._text.flush())
        else:
            self._write(token, logits_V)
        return token

    def fail(self, error: StrataError) -> None:
        """End without an answer, and with it all answers to the same request."""
        self.done = True
        self.outcome = "failed"
        if not self.ticket.cancelled:
            self.ticket.cancel()
            self.ticket.listener(Piece(error=error))

    def _write(self, token: int, logits_V: Tensor) -> None:
        self._note(token, logits_V)
        text = self._text.push(token)
        if self._text.stopped:
            self._finish("stop", text)
        elif self.written >= self._most_written:
            text += self._text.flush()
            self._finish("stop" if self._text.stopped else "length", text)
        elif text:
            self._send(text)

    def _choose(self, options: Options, token: int, logits_V: Tensor) -> None:
        """Go on towards an option. It is told as a whole, as it was given: tokenizers may write it otherwise."""
        chosen = options.take(token)
        if token not in self.version.end_tokens or chosen is None:
            self._note(token, logits_V)
        if chosen is not None:
            self._finish("stop", chosen)

    def _note(self, token: int, logits_V: Tensor) -> None:
        self.written += 1
        self._seen.add(token)
        if self._top is not None:
            (logprob,), likeliest = likelihoods(logits_V, [token], top=self._top)
            top = tuple(self._likely(each, value) for each, value in likeliest)
            self._logprobs.append(WrittenToken(self._likely(token, logprob), top))

    def _likely(self, token: int, logprob: float) -> LikelyToken:
        return LikelyToken(token, str(self.version.tokenizer.decode([token])), logprob)

    def _send(self, text: str, reason: FinishReason | None = None, usage: Usage | None = None) -> None:
        logprobs, self._logprobs = tuple(self._logprobs), []
        self.ticket.listener(Piece(text=text, index=self._index, finish_reason=reason, logprobs=logprobs, usage=usage))

    def _finish(self, reason: FinishReason, text: str) -> None:
        self.done = True
        self.outcome = reason
        self.ticket.unfinished -= 1
        self.ticket.completion_tokens += self.written
        usage = None
        if self.ticket.unfinished == 0:
            usage = Usage(prompt_tokens=len(self.prompt), completion_tokens=self.ticket.completion_tokens)
        self._send(text, reason, usage)

"""One request while it is decoded: its prompt, its sampler, the text so far and the end."""

from collections.abc import Callable

from torch import Tensor

from core.domain.errors import StrataError
from core.serving.loading import LiveVersion
from core.serving.requests import CompletionRequest, FinishReason, Piece, Ticket, Usage
from core.serving.sampling import Sampler
from core.serving.text_stream import TextStream


class Sequence:
    """A request on its way. It holds its version, so a flip does not touch it."""

    def __init__(self, request: CompletionRequest, version: LiveVersion, prompt: list[int], max_tokens: int) -> None:
        self.version = version
        self.prompt = prompt
        self.done = False
        self._room = max_tokens
        self._sampler = Sampler.of(request)
        self._text = TextStream(version.tokenizer, request.stop)
        self.written = 0
        # How it ended, once it has: by a finish reason, or as failed.
        self.outcome: str | None = None
        # On the monotonic clock, and whether a first token was chosen since.
        self.submitted_at = 0.0
        self.begun = False
        self.ticket: Ticket

    def listen(self, listener: Callable[[Piece], None]) -> Ticket:
        """Send the pieces to ``listener``; return the ticket that can cancel."""
        self.ticket = Ticket(listener)
        return self.ticket

    def advance(self, logits_V: Tensor) -> int:
        """Choose the next token, pass its text on and return its id; sets ``done`` when it was the last one."""
        token = self._sampler.choose(logits_V)
        if token in self.version.end_tokens:
            self._finish("stop", self._text.flush())
            return token
        self.written += 1
        text = self._text.push(token)
        if self._text.stopped:
            self._finish("stop", text)
        elif self.written >= self._room:
            text += self._text.flush()
            self._finish("stop" if self._text.stopped else "length", text)
        elif text:
            self.ticket.listener(Piece(text=text))
        return token

    def fail(self, error: StrataError) -> None:
        """End without an answer."""
        self.done = True
        self.outcome = "failed"
        self.ticket.listener(Piece(error=error))

    def _finish(self, reason: FinishReason, text: str) -> None:
        self.done = True
        self.outcome = reason
        usage = Usage(prompt_tokens=len(self.prompt), completion_tokens=self.written)
        self.ticket.listener(Piece(text=text, finish_reason=reason, usage=usage))

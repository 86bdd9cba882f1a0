"""How well a model answers held-out rows: exact match by greedy decoding, and choice among options by likelihood.

How well it reads documents is told by `core.learning.reading`.

Shapes: B prompts, T prompt positions, C options of a prompt, L tokens of the longest option, V vocabulary.
"""

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from core.domain.base_facts import Family
from core.learning.conversations import ChatEncoder, Conversation
from core.learning.reading import Reading, read_documents
from core.learning.rows import AnyRow, Document, Row, padded
from core.weights.chat import turn_end
from core.weights.tokens import encode_document, encode_prompt, encode_target, encode_text, end_token_ids

T = TypeVar("T")

EXACT_MATCH: Final = "exact_match"
OPTION_LIKELIHOOD: Final = "option_likelihood"
TOKEN_ACCURACY: Final = "token_accuracy"  # noqa: S105 - a metric's name
PERPLEXITY: Final = "perplexity"
# Options that are scored at once: bounds the copies of the prompt's keys and values.
_SEQUENCES: Final = 128


@dataclass(frozen=True, slots=True)
class Score:
    """One metric on one set of rows; ``value`` is a share, 0 to 1, or a perplexity, 1 or more."""

    metric: str
    value: float
    n_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A model that answers, with the limits it was trained with.

    Attributes:
        pulse: called after each batch; it may raise to stop the scoring.
    """

    model: Any
    tokenizer: Any
    family: Family
    max_source_tokens: int
    max_target_tokens: int
    batch_size: int
    pulse: Callable[[], None]

    def score(self, rows: Sequence[AnyRow], metric: str) -> Score:
        """Return one metric over those of ``rows`` that have it.

        Option likelihood counts rows with options, token accuracy and perplexity documents, exact match the others.
        """
        measures: dict[str, tuple[Callable[[Any], float], Callable[[AnyRow], object]]] = {
            EXACT_MATCH: (self._exact_match, lambda row: not isinstance(row, Document)),
            OPTION_LIKELIHOOD: (self._likeliest, lambda row: isinstance(row, Row) and row.options),
            TOKEN_ACCURACY: (self._token_accuracy, lambda row: isinstance(row, Document)),
            PERPLEXITY: (self._perplexity, lambda row: isinstance(row, Document)),
        }
        measure, counts = measures[metric]
        counted = [row for row in rows if counts(row)]
        was_training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            value = measure(counted) if counted else 0.0
        self.model.train(was_training)
        return Score(metric, value, len(counted))

    def answers(self, rows: Sequence[Row | Conversation]) -> list[str]:
        """Return the greedy answer to each row's prompt; no longer than the longest target of its batch and one more."""
        exchanges = [self._exchange(row) for row in rows]
        answers = [""] * len(rows)
        with _plain_generation(self.model):
            for batch in self._batches(exchanges):
                limit = max(len(exchanges[number][1]) for number in batch) + 1
                ends = {turn_end(self.tokenizer, exchanges[number][1]) for number in batch} - {None}
                prompts = [exchanges[number][0] for number in batch]
                for number, answer in zip(batch, self._decode(prompts, limit, ends), strict=True):
                    answers[number] = answer
                self.pulse()
        return answers

    def _batches(self, exchanges: Sequence[tuple[list[int], list[int]]]) -> Iterator[list[int]]:
        """Yield row numbers by length of prompt; a batch's longest prompt and target fit the limits together."""
        room = self.max_source_tokens + self.max_target_tokens
        batch: list[int] = []
        for number in sorted(range(len(exchanges)), key=lambda number: len(exchanges[number][0])):
            longest = max(len(exchanges[other][1]) for other in (*batch, number))
            if batch and (len(batch) == self.batch_size or len(exchanges[number][0]) + longest > room):
                yield batch
                batch = []
            batch.append(number)
        if batch:
            yield batch

    def _exchange(self, row: Row | Conversation) -> tuple[list[int], list[int]]:
        if isinstance(row, Conversation):
            return self._chat.last_exchange(row.turns)
        return self._prompt(row), encode_target(self.tokenizer, row.target, max_tokens=self.max_target_tokens)

    def _exact_match(self, rows: Sequence[Row | Conversation]) -> float:
        pairs = zip(rows, self.answers(rows), strict=True)
        return sum(normalised(answer) == normalised(self._expected(row)) for row, answer in pairs) / len(rows)

    def _expected(self, row: Row | Conversation) -> str:
        """Return what the answer must say: of a conversation, what the chat template makes of its last turn."""
        if isinstance(row, Row):
            return row.target
        return str(self.tokenizer.decode(self._chat.last_exchange(row.turns)[1], skip_special_tokens=True))

    def _token_accuracy(self, rows: Sequence[Document]) -> float:
        return self._reading(rows).accuracy

    def _perplexity(self, rows: Sequence[Document]) -> float:
        return self._reading(rows).perplexity

    def _reading(self, rows: Sequence[Document]) -> Reading:
        documents = [encode_document(self.tokenizer, row.text) for row in rows]
        block_tokens = self.max_source_tokens + self.max_target_tokens
        return read_documents(
            self.model, documents, block_tokens=block_tokens, batch_size=self.batch_size, pulse=self.pulse
        )

    def _decode(self, prompts: list[list[int]], limit: int, ends: AbstractSet[Any]) -> list[str]:
        from transformers import GenerationConfig

        input_ids_BT, mask_BT = self._sources(prompts)
        config = GenerationConfig(
            max_new_tokens=limit,
            do_sample=False,
            num_beams=1,
            use_cache=True,
            eos_token_id=sorted(end_token_ids(self.model, self.tokenizer) | ends),
            pad_token_id=self._pad,
            decoder_start_token_id=getattr(self.model.config, "decoder_start_token_id", None),
        )
        output = self.model.generate(input_ids=input_ids_BT, attention_mask=mask_BT, generation_config=config)
        # A seq2seq answer begins with the decoder's start token, a causal one with the whole prompt.
        new = output[:, 1:] if self.family == "seq2seq" else output[:, input_ids_BT.shape[1] :]
        return list(self.tokenizer.batch_decode(new, skip_special_tokens=True))

    def _likeliest(self, rows: Sequence[Row]) -> float:
        right = 0
        for number, row in enumerate(rows):
            likelihoods = self.option_likelihoods(row)
            chosen = (row.options or ())[int(likelihoods.argmax())]
            right += normalised(chosen) == normalised(row.target)
            if number % self.batch_size == 0:
                self.pulse()
        return right / len(rows)

    def option_likelihoods(self, row: Row) -> Tensor:
        """Return the summed log-probability ``[C]`` of each option's tokens as the answer, without an end token."""
        options = [encode_text(self.tokenizer, f" {option}") for option in row.options or ()]
        prompt = self._start(self._prompt(row))
        pieces = [options[first : first + _SEQUENCES] for first in range(0, len(options), _SEQUENCES)]
        return torch.cat([self._continuations(prompt, piece) for piece in pieces])

    def _start(self, prompt: list[int]) -> Any:
        """Run what all options share once: the prompt's keys and values, or the encoder."""
        ids_1T = torch.tensor([prompt], device=self.model.device)
        if self.family == "seq2seq":
            return self.model.get_encoder()(input_ids=ids_1T)
        # The prompt's last token is run with the options: its logits predict their first tokens.
        head = ids_1T[:, :-1]
        return ids_1T, self.model(input_ids=head, use_cache=True).past_key_values if head.shape[1] else None

    def _continuations(self, start: Any, options: list[list[int]]) -> Tensor:
        count = len(options)
        tokens_CL = padded(options, value=self._pad).to(self.model.device)
        real_CL = padded([[1] * len(option) for option in options], value=0).to(self.model.device)
        if self.family == "seq2seq":
            states = start.last_hidden_state.repeat_interleave(count, dim=0)
            first = torch.full((count, 1), self.model.config.decoder_start_token_id, device=self.model.device)
            inputs = torch.cat([first, tokens_CL[:, :-1]], dim=1)
            logits_CLV = self.model(encoder_outputs=(states,), decoder_input_ids=inputs, use_cache=False).logits
        else:
            ids_1T, cache = start
            cache = copy.deepcopy(cache)
            if cache is not None:
                cache.batch_repeat_interleave(count)
            inputs = torch.cat([ids_1T[:, -1:].expand(count, 1), tokens_CL[:, :-1]], dim=1)
            # Filling stands on the right, behind every token that counts: no mask is needed.
            logits_CLV = self.model(input_ids=inputs, past_key_values=cache, use_cache=cache is not None).logits
        log_probabilities = functional.log_softmax(logits_CLV.float(), dim=-1)
        chosen_CL = log_probabilities.gather(2, tokens_CL.unsqueeze(2)).squeeze(2)
        return (chosen_CL * real_CL).sum(dim=1)

    def _prompt(self, row: Row) -> list[int]:
        limit = self.max_source_tokens
        return encode_prompt(self.tokenizer, row.prompt, self.family, max_tokens=limit, cut=row.cut)

    def _sources(self, prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Pad where generation wants it: on the left for causal models, whose answers continue the last column."""
        left = self.family == "causal"
        ids_BT = padded(prompts, value=self._pad, left=left)
        mask_BT = padded([[1] * len(prompt) for prompt in prompts], value=0, left=left)
        return ids_BT.to(self.model.device), mask_BT.to(self.model.device)

    @property
    def _chat(self) -> ChatEncoder:
        return ChatEncoder(self.tokenizer, self.family, self.max_source_tokens, self.max_target_tokens)

    @property
    def _pad(self) -> int:
        return pad_token(self.tokenizer)


def pad_token(tokenizer: Any) -> int:
    """Return what batches are filled up with; always masked, so any token will do."""
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)


def normalised(text: str) -> str:
    """Return ``text`` as exact match compares it: lower case, single spaces, none at the ends."""
    return " ".join(text.lower().split())


def sample(rows: Sequence[T], max_rows: int) -> list[T]:
    """Return at most ``max_rows`` rows, the same of the same file every time, spread over all of it."""
    if len(rows) <= max_rows:
        return list(rows)
    chosen = random.Random(0).sample(range(len(rows)), max_rows)  # noqa: S311 - a spread, not a secret
    return [rows[number] for number in sorted(chosen)]


@contextmanager
def _plain_generation(model: Any) -> Iterator[None]:
    """Keep the model's own generation settings (penalties, sampling) out of greedy scoring; its end tokens stay."""
    from transformers import GenerationConfig

    own = model.generation_config
    model.generation_config = GenerationConfig(eos_token_id=own.eos_token_id)
    try:
        yield
    finally:
        model.generation_config = own

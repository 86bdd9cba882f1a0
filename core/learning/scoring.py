"""How well a model answers and reads held-out rows, row by row.

Exact match alone is formed without decoding wherever that is certain (`core.learning.foresight`), so that scoring a
task costs little more than reading its rows once; graded metrics need the answers themselves. How well documents are
read is told by `core.learning.reading`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

import torch
from torch import Tensor

from core.domain.base_facts import Family
from core.domain.metrics import EXACT_MATCH, OPTION_LIKELIHOOD, PERPLEXITY, TOKEN_ACCURACY
from core.domain.statistics import Interval, Sample, interval
from core.learning import answer_metrics, options
from core.learning.answer_metrics import may_become, normalised
from core.learning.batching import Pace, pace_of
from core.learning.beginnings import Beginning, beginnings
from core.learning.conversations import Conversation
from core.learning.decoding import greedy_answers
from core.learning.exchanges import Exchange, ExchangeEncoder, decoded_batches, forced_batches
from core.learning.foresight import Foresight, foresee
from core.learning.reading import Reading, read_documents
from core.learning.rows import AnyRow, Document, Row
from core.weights.tokens import encode_document, encode_text

# Above it a perplexity is no number that can be stored.
_MAX_LOG_PERPLEXITY: Final = 700.0
# What stands in its place where it is no number, or infinite.
_MAX_OUTCOME: Final = 1e9
# Digits that are kept of what a row came to.
_DIGITS: Final = 4

# From the numbers of rows that share a beginning, and its tokens, to places among those numbers that go together.
_Batched = Callable[[Sequence[int], int], Iterator[list[int]]]


@dataclass(frozen=True, slots=True)
class Score:
    """One metric on one set of rows; the fields are those of `core.domain.scores.Score`."""

    metric: str
    sample: Sample
    chance: float | None = None

    @property
    def n_rows(self) -> int:
        """How many rows have the metric."""
        return len(self.sample.outcomes)

    @property
    def value(self) -> float:
        """A share, 0 to 1, or a perplexity, 1 or more; 0 without rows."""
        return self._shown(self.sample.value) if self.n_rows else 0.0

    def interval(self) -> Interval:
        """Return the value's 95 % bootstrap interval; there must be rows."""
        bounds = interval(self.sample)
        return Interval(self._shown(bounds.low), self._shown(bounds.high))

    def _shown(self, mean: float) -> float:
        # In this order a mean that is no number becomes the bound too.
        return math.exp(min(_MAX_LOG_PERPLEXITY, mean)) if self.metric == PERPLEXITY else mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A model that answers, with the limits it was trained with.

    Attributes:
        batch_size: rows that are run together at most; long ones are fewer.
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
        """Return one metric over those of ``rows`` that have it; see `scores`."""
        return self.scores(rows, [metric])[0]

    def scores(self, rows: Sequence[AnyRow], metrics: Sequence[str]) -> list[Score]:
        """Return metrics, each over those of ``rows`` that have it, in their order.

        Option likelihood counts rows with options, token accuracy and perplexity documents, the others what has a
        target.
        """
        answered = [row for row in rows if not isinstance(row, Document)]
        documents = [row for row in rows if isinstance(row, Document)]
        was_training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            found = self._of_answers(answered, [each for each in metrics if each in answer_metrics.MEASURES])
            found |= self._of_documents(documents, [each for each in metrics if each in {TOKEN_ACCURACY, PERPLEXITY}])
            if OPTION_LIKELIHOOD in metrics:
                found[OPTION_LIKELIHOOD] = self._of_options([row for row in answered if isinstance(row, Row)])
        self.model.train(was_training)
        return [found[metric] for metric in metrics]

    @torch.inference_mode()
    def right(self, rows: Sequence[Row | Conversation]) -> list[bool]:
        """Return for each row whether the greedy answer is its target, by exact match."""
        exchanges = self._encoder.exchanges(rows)
        expected = [self._encoder.expected(row) for row in rows]
        right = [False] * len(rows)
        undecided = []
        for number, seen in enumerate(self._foreseen(exchanges)):
            beginning = self.tokenizer.decode(seen.tokens, skip_special_tokens=True)
            if seen.whole:
                right[number] = normalised(beginning) == normalised(expected[number])
            elif may_become(beginning, expected[number]):
                undecided.append(number)
        answers = self._decoded([exchanges[number] for number in undecided])
        for number, answer in zip(undecided, answers, strict=True):
            right[number] = normalised(answer) == normalised(expected[number])
        return right

    def answers(self, rows: Sequence[Row | Conversation]) -> list[str]:
        """Return the greedy answer to each row's prompt; a little longer than the row's target at most."""
        return self._decoded(self._encoder.exchanges(rows))

    @torch.inference_mode()
    def option_likelihoods(self, rows: Sequence[Row]) -> list[Tensor]:
        """Return the summed log-probability ``[C]`` of each option's tokens as the answer, without an end token."""
        choices = [self._choice(row) for row in rows]
        found: dict[int, Tensor] = {}

        def batched(numbers: Sequence[int], begun: int) -> Iterator[list[int]]:
            group = [choices[number] for number in numbers]
            return options.batches(group, self.batch_size, begun=begun, pace=self._pace)

        prompts = [choice.prompt for choice in choices]
        for beginning, batch in self._batches(prompts, batched, passes=options.PASSES):
            group = [choices[number] for number in batch]
            weighed = options.likelihoods(self.model, group, self.family, pad=self._pad, beginning=beginning)
            found |= dict(zip(batch, weighed, strict=True))
        return [found[number] for number in range(len(rows))]

    def _of_answers(self, rows: Sequence[Row | Conversation], metrics: Sequence[str]) -> dict[str, Score]:
        if not rows:
            return {metric: Score(metric, Sample(())) for metric in metrics}
        expected = [self._encoder.expected(row) for row in rows]
        if set(metrics) <= {EXACT_MATCH}:
            outcomes = {metric: list(map(float, self.right(rows))) for metric in metrics}
        else:
            pairs = list(zip(self.answers(rows), expected, strict=True))
            outcomes = {
                metric: _rounded(answer_metrics.MEASURES[metric](*pair) for pair in pairs) for metric in metrics
            }
        return {
            metric: Score(metric, Sample(found), answer_metrics.chance(metric, expected))
            for metric, found in outcomes.items()
        }

    def _of_options(self, rows: Sequence[Row]) -> Score:
        counted = [row for row in rows if row.options]
        if not counted:
            return Score(OPTION_LIKELIHOOD, Sample(()))
        outcomes = [
            answer_metrics.exact_match((row.options or ())[int(likelihoods.argmax())], row.target)
            for row, likelihoods in zip(counted, self.option_likelihoods(counted), strict=True)
        ]
        chance = fmean(1 / len(row.options or ()) for row in counted)
        return Score(OPTION_LIKELIHOOD, Sample(outcomes), chance)

    def _of_documents(self, rows: Sequence[Document], metrics: Sequence[str]) -> Mapping[str, Score]:
        readings = self._readings(rows) if metrics else []
        sizes = [reading.n_tokens for reading in readings]
        outcomes: dict[str, list[float]] = {
            TOKEN_ACCURACY: [float(reading.n_right) for reading in readings],
            PERPLEXITY: _rounded(reading.nll for reading in readings),
        }
        return {metric: Score(metric, Sample(outcomes[metric], sizes)) for metric in metrics}

    def _readings(self, rows: Sequence[Document]) -> list[Reading]:
        documents = [encode_document(self.tokenizer, row.text) for row in rows]
        block_tokens = self.max_source_tokens + self.max_target_tokens
        return read_documents(
            self.model, documents, block_tokens=block_tokens, batch_size=self.batch_size, pulse=self.pulse
        )

    def _foreseen(self, exchanges: Sequence[Exchange]) -> list[Foresight]:
        found: dict[int, Foresight] = {}

        def batched(numbers: Sequence[int], begun: int) -> Iterator[list[int]]:
            group = [exchanges[number] for number in numbers]
            return forced_batches(group, self.batch_size, begun=begun, pace=self._pace)

        for beginning, batch in self._batches([each.prompt for each in exchanges], batched, passes=1):
            group = [exchanges[number] for number in batch]
            seen = foresee(self.model, group, self.family, pad=self._pad, beginning=beginning)
            found |= dict(zip(batch, seen, strict=True))
        return [found[number] for number in range(len(exchanges))]

    def _decoded(self, exchanges: Sequence[Exchange]) -> list[str]:
        answers = [""] * len(exchanges)
        room = self.max_source_tokens + self.max_target_tokens

        def batched(numbers: Sequence[int], _: int) -> Iterator[list[int]]:
            return decoded_batches([exchanges[number] for number in numbers], self.batch_size, room=room)

        # The first token of an answer comes with its prompt.
        passes = max((each.limit for each in exchanges), default=1)
        for beginning, batch in self._batches([each.prompt for each in exchanges], batched, passes=passes):
            group = [exchanges[number] for number in batch]
            found = greedy_answers(self.model, self.tokenizer, group, self.family, pad=self._pad, beginning=beginning)
            for number, answer in zip(batch, found, strict=True):
                answers[number] = answer
        return answers

    def _batches(
        self, prompts: Sequence[list[int]], batched: _Batched, *, passes: int
    ) -> Iterator[tuple[Beginning, list[int]]]:
        """Yield what prompts begin with, run, and numbers of those that go on from it together."""
        for beginning, numbers in beginnings(self.model, prompts, self.family, passes=passes):
            for batch in batched(numbers, len(beginning.tokens)):
                yield beginning, [numbers[place] for place in batch]
                self.pulse()

    def _choice(self, row: Row) -> options.Choice:
        tokens = [encode_text(self.tokenizer, f" {option}") for option in row.options or ()]
        return options.Choice(self._encoder.prompt(row), tokens)

    @property
    def _encoder(self) -> ExchangeEncoder:
        return ExchangeEncoder(
            model=self.model,
            tokenizer=self.tokenizer,
            family=self.family,
            max_source_tokens=self.max_source_tokens,
            max_target_tokens=self.max_target_tokens,
        )

    @property
    def _pace(self) -> Pace:
        return pace_of(self.model.device.type)

    @property
    def _pad(self) -> int:
        return pad_token(self.tokenizer)


def pad_token(tokenizer: Any) -> int:
    """Return what batches are filled up with; always masked, so any token will do."""
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)


def _rounded(outcomes: Iterable[float]) -> list[float]:
    # What is no number is bounded, so that it can be stored; a sum of -log likelihoods has no other limit.
    return [round(min(_MAX_OUTCOME, outcome), _DIGITS) for outcome in outcomes]

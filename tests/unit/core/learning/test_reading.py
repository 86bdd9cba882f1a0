"""How well a model reads documents, against one document at a time."""

import math

import pytest
import torch

from core.domain.metrics import EXACT_MATCH, PERPLEXITY, TOKEN_ACCURACY
from core.domain.statistics import Sample
from core.learning.rows import Document, Row
from core.learning.scoring import Score, Scorer
from core.weights.base import LoadedBase
from core.weights.tokens import encode_document

TEXTS = ("The harbour office opens at nine.", "My parcel", "Options: basalt, ember, quill and zephyr. " * 3)


def scorer_of(loaded: LoadedBase, *, batch_size: int = 2, tokens: int = 32) -> Scorer:
    return Scorer(
        model=loaded.model,
        tokenizer=loaded.tokenizer,
        family=loaded.facts.family,
        max_source_tokens=tokens,
        max_target_tokens=tokens,
        batch_size=batch_size,
        pulse=lambda: None,
    )


@torch.no_grad()
def test_scores_are_those_of_each_document_by_itself(loaded_llama: LoadedBase) -> None:
    right, nll, count = 0, 0.0, 0
    for text in TEXTS:
        ids = torch.tensor(encode_document(loaded_llama.tokenizer, text))
        logits = loaded_llama.model(input_ids=ids[None]).logits[0, :-1].float()
        right += int((logits.argmax(-1) == ids[1:]).sum())
        nll += float(torch.nn.functional.cross_entropy(logits, ids[1:], reduction="sum"))
        count += len(ids) - 1
    rows = [Document(text) for text in TEXTS]
    for batch_size in (1, 2, 8):
        scorer = scorer_of(loaded_llama, batch_size=batch_size, tokens=200)
        assert scorer.score(rows, TOKEN_ACCURACY).value == pytest.approx(right / count)
        assert scorer.score(rows, PERPLEXITY).value == pytest.approx(math.exp(nll / count), rel=1e-4)


def test_every_metric_counts_the_rows_that_have_it(loaded_llama: LoadedBase) -> None:
    rows = [*(Document(text) for text in TEXTS), Row("The harbour", " office")]
    scorer = scorer_of(loaded_llama)
    assert scorer.score(rows, TOKEN_ACCURACY).n_rows == scorer.score(rows, PERPLEXITY).n_rows == 3
    assert scorer.score(rows, EXACT_MATCH).n_rows == 1
    assert scorer.score(rows[3:], TOKEN_ACCURACY).n_rows == 0


def test_scores_can_be_formed_again_from_what_their_rows_came_to(loaded_llama: LoadedBase) -> None:
    rows = [Document(text) for text in TEXTS]
    for metric in (TOKEN_ACCURACY, PERPLEXITY):
        score = scorer_of(loaded_llama, tokens=8).score(rows, metric)
        alone = [scorer_of(loaded_llama, tokens=8).score([row], metric) for row in rows]
        assert score.sample.sizes is not None
        assert score.sample.outcomes == pytest.approx([each.sample.outcomes[0] for each in alone], abs=1e-3)
        mean = sum(score.sample.outcomes) / sum(score.sample.sizes)
        assert score.value == pytest.approx(math.exp(mean) if metric == PERPLEXITY else mean)
        bounds = score.interval()
        assert bounds.low <= score.value <= bounds.high


@pytest.mark.parametrize("nll", [math.inf, 1e9])
def test_a_perplexity_can_always_be_stored(nll: float) -> None:
    assert math.isfinite(Score(PERPLEXITY, Sample([nll], [2])).value)

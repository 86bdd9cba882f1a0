from pathlib import Path
from typing import Any

import pytest
import torch

from core.learning.rows import Row
from core.learning.scoring import EXACT_MATCH, OPTION_LIKELIHOOD, Scorer, normalised, sample
from core.weights.base import LoadedBase
from core.weights.tokens import encode_prompt, encode_text

ROWS = [
    Row("The harbour office opens at", " nine"),
    Row("Answer:", " yes or no"),
    Row("My parcel has not arrived; please send the invoice", " again."),
]
CHOICES = Row("Which house code fits this report? Answer:", " quill", ("basalt", "ember", "quill", "no code at all"))


class Counter:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1


def scorer_of(loaded: LoadedBase, pulse: Any = None, batch_size: int = 2) -> Scorer:
    return Scorer(
        model=loaded.model,
        tokenizer=loaded.tokenizer,
        family=loaded.facts.family,
        max_source_tokens=64,
        max_target_tokens=16,
        batch_size=batch_size,
        pulse=pulse or Counter(),
    )


def test_case_and_white_space_do_not_count() -> None:
    assert normalised("  Send\n the  OWL slip ") == "send the owl slip"


def test_answers_do_not_depend_on_their_company(loaded: LoadedBase) -> None:
    alone = scorer_of(loaded, batch_size=1).answers([ROWS[0]])[0]
    together = scorer_of(loaded, batch_size=3).answers([ROWS[0], Row(ROWS[1].prompt, ROWS[0].target)])[0]
    assert alone == together


def test_a_row_is_right_when_the_greedy_answer_is_its_target(loaded: LoadedBase) -> None:
    scorer = scorer_of(loaded)
    answers = scorer.answers(ROWS)
    # An answer is cut after the longest target of its batch: rows alone in theirs cannot be too long.
    right = [Row(row.prompt, answer or " x") for row, answer in zip(ROWS, answers, strict=True)]
    again = scorer.answers(right)
    expected = sum(normalised(a) == normalised(row.target) for a, row in zip(again, right, strict=True)) / len(right)
    score = scorer.score(right, EXACT_MATCH)
    assert (score.value, score.n_rows) == (expected, 3)


def test_likelihoods_of_options_are_those_of_whole_sequences(loaded: LoadedBase) -> None:
    model, tokenizer = loaded.model, loaded.tokenizer
    with torch.no_grad():
        got = scorer_of(loaded).option_likelihoods(CHOICES)
        prompt = encode_prompt(tokenizer, CHOICES.prompt, loaded.facts.family)
        expected = []
        for option in CHOICES.options or ():
            tokens = encode_text(tokenizer, f" {option}")
            if loaded.facts.family == "seq2seq":
                inputs = torch.tensor([[model.config.decoder_start_token_id, *tokens[:-1]]])
                logits = model(input_ids=torch.tensor([prompt]), decoder_input_ids=inputs).logits[0]
            else:
                logits = model(input_ids=torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1]
            chosen = torch.tensor(tokens)
            expected.append(logits.log_softmax(-1).gather(1, chosen[:, None]).sum())
    torch.testing.assert_close(got, torch.stack(expected), rtol=1e-4, atol=1e-4)


def test_a_choice_is_the_likeliest_option_and_rows_without_options_do_not_count(loaded: LoadedBase) -> None:
    scorer = scorer_of(loaded)
    with torch.no_grad():
        best = int(scorer.option_likelihoods(CHOICES).argmax())
    options = CHOICES.options or ()
    rows = [Row(CHOICES.prompt, f" {option}", options) for option in options]
    score = scorer.score([*rows, ROWS[0]], OPTION_LIKELIHOOD)
    assert (score.value, score.n_rows) == (1 / 4, 4)
    assert scorer.score([rows[best]], OPTION_LIKELIHOOD).value == 1.0
    assert scorer.score([ROWS[0]], OPTION_LIKELIHOOD).n_rows == 0


def test_scoring_beats_its_pulse_and_leaves_the_model_as_it_was(loaded: LoadedBase) -> None:
    pulse = Counter()
    settings = loaded.model.generation_config
    loaded.model.train()
    scorer_of(loaded, pulse).score(ROWS, EXACT_MATCH)
    assert pulse.calls == 2
    assert loaded.model.training
    assert loaded.model.generation_config is settings


def test_the_models_own_sampling_settings_do_not_reach_the_answers(llama_folder: Path, loaded: LoadedBase) -> None:
    del llama_folder
    plain = scorer_of(loaded).answers(ROWS)
    loaded.model.generation_config.repetition_penalty = 5.0
    assert scorer_of(loaded).answers(ROWS) == plain


@pytest.mark.parametrize("max_rows", [1, 7, 50, 99])
def test_a_sample_is_the_same_every_time_and_in_order(max_rows: int) -> None:
    rows = [Row(str(number), "") for number in range(50)]
    chosen = sample(rows, max_rows)
    assert chosen == sample(rows, max_rows)
    assert len(chosen) == min(max_rows, 50)
    numbers = [int(row.prompt) for row in chosen]
    assert numbers == sorted(set(numbers))

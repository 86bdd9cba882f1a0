from pathlib import Path
from typing import Any

import torch

from core.domain.metrics import EXACT_MATCH, OPTION_LIKELIHOOD, ROUGE_L, TOKEN_F1
from core.learning.rows import Row
from core.learning.scoring import Scorer
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


def test_answers_do_not_depend_on_their_company(loaded: LoadedBase) -> None:
    rows = [*ROWS, Row(ROWS[0].prompt, " a much longer target, by which others are not measured")]
    alone = [scorer_of(loaded, batch_size=1).answers([row])[0] for row in rows]
    assert scorer_of(loaded, batch_size=4).answers(rows) == alone
    assert scorer_of(loaded, batch_size=4).answers(rows[::-1]) == alone[::-1]


def test_an_answer_is_read_a_little_further_than_its_target(loaded: LoadedBase) -> None:
    short, long = scorer_of(loaded).answers([Row(ROWS[0].prompt, " x"), Row(ROWS[0].prompt, " x" * 20)])
    assert long.startswith(short.rstrip("\ufffd"))
    assert len(short) < len(long)


def test_likelihoods_of_options_are_those_of_whole_sequences(loaded: LoadedBase) -> None:
    model, tokenizer = loaded.model, loaded.tokenizer
    with torch.no_grad():
        got = scorer_of(loaded).option_likelihoods([CHOICES])[0]
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


def test_likelihoods_do_not_depend_on_their_company(loaded: LoadedBase) -> None:
    others = [Row(prompt, " quill", CHOICES.options) for prompt in ("A", "My parcel has not", "Options: basalt " * 9)]
    rows = [*others, CHOICES, Row("Yes or no?", " yes", ("yes", "no"))]
    scorer = scorer_of(loaded, batch_size=8)
    for row, found in zip(rows, scorer.option_likelihoods(rows), strict=True):
        torch.testing.assert_close(found, scorer.option_likelihoods([row])[0], rtol=1e-4, atol=1e-4)


def test_more_options_than_one_pass_takes_are_weighed_in_pieces(loaded: LoadedBase) -> None:
    many = tuple(f"code {number}" for number in range(150))
    rows = [Row("Which code?", " code 7", many), Row("Which code?", " code 7", many[140:])]
    found, last = scorer_of(loaded).option_likelihoods(rows)
    torch.testing.assert_close(found[140:], last, rtol=1e-4, atol=1e-4)


def test_a_choice_is_the_likeliest_option_and_rows_without_options_do_not_count(loaded: LoadedBase) -> None:
    scorer = scorer_of(loaded)
    best = int(scorer.option_likelihoods([CHOICES])[0].argmax())
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
    assert pulse.calls >= 2
    assert loaded.model.training
    assert loaded.model.generation_config is settings


def test_the_models_own_sampling_settings_do_not_reach_the_answers(llama_folder: Path, loaded: LoadedBase) -> None:
    del llama_folder
    plain = scorer_of(loaded).answers(ROWS)
    loaded.model.generation_config.repetition_penalty = 5.0
    assert scorer_of(loaded).answers(ROWS) == plain


def test_metrics_of_the_same_answers_are_formed_together(loaded: LoadedBase) -> None:
    pulse = Counter()
    scorer = scorer_of(loaded, pulse, batch_size=8)
    exact, f1, rouge = scorer.scores(ROWS, [EXACT_MATCH, TOKEN_F1, ROUGE_L])
    assert pulse.calls == 1
    assert exact == scorer.score(ROWS, EXACT_MATCH)
    assert (exact.metric, f1.metric, rouge.metric) == (EXACT_MATCH, TOKEN_F1, ROUGE_L)
    assert [score.n_rows for score in (exact, f1, rouge)] == [3, 3, 3]
    assert exact.chance == 1 / 3

"""Metrics on texts, against values worked out by hand and by the slow definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.metrics import EXACT_MATCH, ROUGE_L, TOKEN_F1
from core.learning.answer_metrics import (
    MEASURES,
    chance,
    exact_match,
    may_become,
    normalised,
    rouge_l,
    token_f1,
)

WORDS = st.lists(st.sampled_from(["owl", "harbour", "slip", "of", "nine"]), max_size=70)


def test_case_and_white_space_do_not_count() -> None:
    assert normalised("  Send\n the  OWL slip ") == "send the owl slip"
    assert exact_match(" Yes\n", "yes") == 1
    assert exact_match(" Yes.", "yes") == 0


@pytest.mark.parametrize(
    ("answer", "expected", "f1"),
    [
        ("The harbour, at nine!", "harbour at nine", 1.0),
        ("at nine", "the harbour at nine", 4 / 5),
        ("nine nine nine", "nine", 2 / 4),
        ("ten", "nine", 0.0),
        ("", "nine", 0.0),
        ("", "the ...", 1.0),
    ],
)
def test_token_f1_counts_common_words_without_articles_and_punctuation(answer: str, expected: str, f1: float) -> None:
    assert token_f1(answer, expected) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("answer", "expected", "f1"),
    [
        # The example of Lin (2004): police killed the gunman | police kill the gunman | the gunman kill police.
        ("police kill the gunman", "police killed the gunman", 3 / 4),
        ("the gunman kill police", "police killed the gunman", 2 / 4),
        ("Die Fähre kommt", "die fähre", 4 / 5),
        ("лодка стоит", "лодка", 2 / 3),
        ("...", "", 1.0),
        ("", "boat", 0.0),
    ],
)
def test_rouge_l_follows_the_longest_common_sequence_of_words(answer: str, expected: str, f1: float) -> None:
    assert rouge_l(answer, expected) == pytest.approx(f1)


@given(WORDS, WORDS)
def test_the_longest_common_sequence_is_that_of_the_textbook(left: list[str], right: list[str]) -> None:
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, one in enumerate(left):
        for j, other in enumerate(right):
            table[i + 1][j + 1] = table[i][j] + 1 if one == other else max(table[i][j + 1], table[i + 1][j])
    expected = 2 * table[-1][-1] / (len(left) + len(right)) if left or right else 1
    assert rouge_l(" ".join(left), " ".join(right)) == pytest.approx(expected)


@given(st.text(max_size=12), st.text(max_size=3))
def test_what_begins_the_expected_text_may_become_it(expected: str, more: str) -> None:
    """A beginning whose end may still be joined to what follows: every prefix, whatever its case and white space."""
    for length in range(len(expected) + 1):
        assert may_become(expected[:length], expected)
        assert may_become(expected[:length].upper().lower() + "\ufffd", expected.upper().lower())
    if exact_match(expected + more, expected):
        assert may_become(expected + more, expected)


@pytest.mark.parametrize(
    ("beginning", "possible"),
    [("", True), (" bas", True), ("BAS alt", True), ("basalts", False), ("ember", False), ("ba\ufffd", True)],
)
def test_what_does_not_begin_so_cannot_become_it(beginning: str, *, possible: bool) -> None:
    assert may_become(beginning, " Basalt") is possible


def test_a_sigma_at_the_end_may_still_stand_inside_a_word() -> None:
    assert may_become("ΟΔΟΣ", "οδοσήμανση")


def test_chance_is_what_an_answer_gets_that_does_not_look() -> None:
    targets = [" yes", " Yes", " no", " maybe so"]
    assert chance(EXACT_MATCH, targets) == 0.5
    assert chance(EXACT_MATCH, [" yes"] * 3) == 1
    assert chance(TOKEN_F1, targets) == chance(ROUGE_L, targets) == 0.5
    # One long answer throughout says all of itself, and of the others what they share.
    long = [f"please send the {thing} {count} times" for thing in ("owl", "slip") for count in ("two", "nine")]
    assert chance(TOKEN_F1, long) == pytest.approx((1 + 0.8 + 0.8 + 0.6) / 4)
    assert all(chance(metric, [" yes"]) == 1 for metric in MEASURES)

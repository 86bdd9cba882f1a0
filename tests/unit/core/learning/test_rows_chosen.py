"""Which rows are scored, and how they are told apart."""

import random

import pytest

from core.learning.conversations import Conversation, Turn
from core.learning.rows import AnyRow, Document, Row
from core.learning.sampling import chosen_by_content, identity, sample

ROWS: list[AnyRow] = [Row(f"prompt {number}", " yes") for number in range(200)]


@pytest.mark.parametrize("max_rows", [1, 7, 50, 99])
def test_a_sample_is_the_same_every_time_and_in_order(max_rows: int) -> None:
    numbers = list(range(50))
    chosen = sample(numbers, max_rows)
    assert chosen == sample(numbers, max_rows) == sorted(set(chosen))
    assert len(chosen) == min(max_rows, 50)


def test_the_same_rows_are_chosen_in_whatever_order_the_file_has_them() -> None:
    chosen = chosen_by_content(ROWS, 40)
    shuffled = random.Random(0).sample(ROWS, len(ROWS))
    assert len(chosen) == 40
    assert set(chosen_by_content(shuffled, 40)) == set(chosen)
    assert chosen == [row for row in ROWS if row in chosen]


def test_a_row_that_is_added_or_removed_changes_at_most_one_of_the_chosen() -> None:
    chosen = set(chosen_by_content(ROWS, 40))
    added = set(chosen_by_content([*ROWS[:90], Row("another", " no"), *ROWS[90:]], 40))
    removed = set(chosen_by_content([row for row in ROWS if row != min(chosen, key=str)], 40))
    assert len(chosen - added) <= 1
    assert len(chosen - removed) == len(removed - chosen) == 1


def test_rows_have_one_identity_and_others_another() -> None:
    row = Row("prompt", " yes", ("yes", "no"), (0, 3))
    others: list[list[AnyRow]] = [
        [],
        [row],
        [row, row],
        [Row("prompt", " yes")],
        [Row("prompt ", "yes", ("yes", "no"), (0, 3))],
        [Document("prompt")],
        [Conversation((Turn("user", "prompt", learned=False), Turn("assistant", "yes", learned=True)))],
        ROWS,
        ROWS[::-1],
    ]
    identities = [identity(rows) for rows in others]
    assert len(set(identities)) == len(others)
    assert identities == [identity(list(rows)) for rows in others]

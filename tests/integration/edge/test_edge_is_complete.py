"""Every input of the list has its case, and what cannot arise is impossible for the reason that is given."""

import importlib
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from cases import Case, require_problem
from doors import Door

from core.domain.jobs import JobKind, JobState

NUMBERS: Final = range(1, 133)
# The number, and why no such input can be sent.
CANNOT_ARISE: Final = {
    124: "no version is judged before it is served: a gate would have to be named in the model's policy"
}


def modules() -> list[Any]:
    return [importlib.import_module(path.stem) for path in sorted(Path(__file__).parent.glob("test_edge_*.py"))]


def covered() -> set[int]:
    found: set[int] = set()
    for module in modules():
        for value in vars(module).values():
            found.update(getattr(value, "covers", ()))
            if isinstance(value, list):
                found.update(each.number for each in value if hasattr(each, "number") and hasattr(each, "code"))
    return found


def test_every_input_of_the_list_is_covered_once_or_cannot_arise() -> None:
    assert covered() | set(CANNOT_ARISE) == set(NUMBERS)
    assert covered() & set(CANNOT_ARISE) == set()


def test_no_two_cases_have_one_name() -> None:
    lists = [value for module in modules() for value in vars(module).values() if isinstance(value, list)]
    named = Counter(str(case) for each in lists for case in each if isinstance(case, Case))
    assert [name for name, times in named.items() if times > 1] == []


@pytest.mark.parametrize("number", CANNOT_ARISE)
def test_what_cannot_arise_is_impossible(desk: Door, number: int) -> None:
    assert number == 124
    body = {"name": "never", "base_model": "tiny", "policy": {"gate": {"floor": 0.5}}}
    require_problem(desk.client.post("/v1/models", json=body), "invalid_request")
    assert JobState.REJECTED in JobState
    assert JobKind.TRAIN in JobKind

"""Every input of the list has its case."""

import importlib
from collections import Counter
from pathlib import Path
from typing import Any, Final

from cases import Case

NUMBERS: Final = range(1, 133)


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


def test_every_input_of_the_list_is_covered() -> None:
    assert covered() == set(NUMBERS)


def test_no_two_cases_have_one_name() -> None:
    lists = [value for module in modules() for value in vars(module).values() if isinstance(value, list)]
    named = Counter(str(case) for each in lists for case in each if isinstance(case, Case))
    assert [name for name, times in named.items() if times > 1] == []

"""Keys as strings: what is minted is whole, and nothing else is."""

import pytest

from core.domain import access
from core.domain.access import Caller, Scope


def test_a_minted_key_is_whole_and_no_other_is_like_it() -> None:
    keys = {access.mint() for _ in range(100)}
    assert len(keys) == 100
    assert all(access.is_whole(key) and access.looks_like_key(key) for key in keys)
    assert len({access.sha256_of(key) for key in keys}) == 100


@pytest.mark.parametrize("place", [6, 7, 20, 46, 47, -1])
def test_a_key_with_one_wrong_letter_is_not_whole(place: int) -> None:
    letters = list(access.mint())
    letters[place] = "0" if letters[place] != "0" else "1"
    assert not access.is_whole("".join(letters))


def test_what_is_cut_lengthened_or_spelled_otherwise_is_not_whole() -> None:
    key = access.mint()
    for other in (key[:-1], f"{key}0", f"{key}\n", key.upper(), key.replace("strata", "sk"), "", "strata_"):
        assert not access.is_whole(other)


def test_a_hint_tells_keys_apart_and_gives_nothing_away() -> None:
    key = access.mint()
    hint = access.hint_of(key)
    assert key.startswith(hint)
    assert len(hint) == len("strata_") + 6


def test_admin_may_everything_and_the_others_their_own_only() -> None:
    for scope in Scope:
        caller = Caller(project_id="prj_x", key_id="key_x", scopes=frozenset({scope}), max_requests_per_minute=None)
        assert {each for each in Scope if caller.may(each)} == (set(Scope) if scope is Scope.ADMIN else {scope})

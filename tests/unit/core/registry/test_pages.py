import pytest

from core.domain.errors import InvalidError
from core.registry.pages import MAX_LIMIT, Cursor


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1])
def test_a_page_is_neither_empty_nor_boundless(limit: int) -> None:
    with pytest.raises(InvalidError) as refused:
        Cursor(limit, None, "asc")
    assert [place.loc for place in refused.value.places] == [("limit",)]


@pytest.mark.parametrize("limit", [1, MAX_LIMIT])
def test_the_bounds_themselves_are_allowed(limit: int) -> None:
    assert Cursor(limit, None, "desc").limit == limit

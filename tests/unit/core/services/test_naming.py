import pytest

from core.domain.errors import InvalidError
from core.services.naming import require_name


@pytest.mark.parametrize("name", ["a", "support-desk", "house_code", "v1.2", "models", "version-1"])
def test_a_slug_is_a_name(name: str) -> None:
    assert require_name(name) == name


@pytest.mark.parametrize("prefix", ["prj", "base", "mdl", "data", "task", "job", "ver"])
def test_a_name_cannot_be_mistaken_for_an_id(prefix: str) -> None:
    with pytest.raises(InvalidError) as refused:
        require_name(f"{prefix}_1", loc=("model",))
    assert refused.value.code == "invalid_name"
    assert [place.loc for place in refused.value.places] == [("model",)]

"""The reference names every container with its media types and endings, as they are told apart."""

import re
from pathlib import Path

import pytest

from core.datasets.containers.container import Container, declared

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "formats.md"


@pytest.mark.parametrize("container", Container)
def test_a_container_is_declared_by_what_the_reference_names(container: Container) -> None:
    (row,) = re.findall(rf"^\| `{container}` \|(.+)\|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    media_types, endings = (re.findall(r"`(.+?)`", cell) for cell in row.split("|"))
    assert media_types
    assert endings
    assert {declared(media_type, None) for media_type in media_types} == {container}
    assert {declared(None, f"rows{ending}") for ending in endings} == {container}

"""The settings: derived values, and the relations that must hold between them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from core.settings import Settings


def test_addresses_follow_the_data_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    assert settings.database_url == f"sqlite:///{tmp_path}/registry.sqlite"
    assert settings.engine_address == f"unix:{tmp_path}/run/engine.sock"


def test_an_address_that_is_given_stays(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url="postgresql+psycopg://u@h/d", engine_address="http://h:1")

    assert settings.database_url == "postgresql+psycopg://u@h/d"
    assert settings.engine_address == "http://h:1"


def test_a_relative_data_folder_is_anchored_once() -> None:
    assert Settings(data_dir=Path("var/x")).data_dir.is_absolute()


def test_a_lease_too_short_for_its_beats_is_refused() -> None:
    with pytest.raises(ValidationError, match="four times"):
        Settings(lease_seconds=3, beat_seconds=1)


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []

"""The reference names everything there is: what is added without a line in it fails here."""

import json
from pathlib import Path

import pytest

from core.datasets.catalogue import FORMATS
from core.learning.catalogue.parts import PARTS
from core.learning.catalogue.presets import PRESETS
from core.settings import Settings, usable_cpus

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_stands_in_the_reference(name: str) -> None:
    assert f"| `{name}` |" in page("settings.md")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_the_default_that_stands_in_the_reference(name: str) -> None:
    field = Settings.model_fields[name]
    known = "" if field.default in ("", None, Path()) else f"`{field.default}`"
    default = "number of CPUs" if field.default_factory is usable_cpus else known
    assert f"| `{name}` | {default} |" in page("settings.md")


def test_every_route_stands_in_the_reference() -> None:
    paths = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))["paths"]
    routes = {f"`{method.upper()} {path}`" for path, methods in paths.items() for method in methods}
    assert {route for route in routes if route not in page("http.md")} == set()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_stands_in_the_reference(name: str) -> None:
    assert f"| `{name}` |" in page("formats.md")


@pytest.mark.parametrize("name", [*PRESETS, *(part for parts in PARTS.values() for part in parts)])
def test_every_method_and_part_stands_in_the_reference(name: str) -> None:
    assert f"\n### {name}\n" in page("methods.md")

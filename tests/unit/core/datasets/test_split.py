"""One row in ten is held out, by its own hash."""

import json
from pathlib import Path

import pytest

from core.datasets import rows, templates
from core.datasets.materialise import examples, materialise
from core.datasets.split import Side, refuse_leak, split
from core.domain.errors import InvalidError


def write(path: Path, n_rows: int) -> Path:
    text = "".join(json.dumps({"prompt": f"p{n}", "completion": f" c{n}", "id": n}) + "\n" for n in range(n_rows))
    path.write_text(text, encoding="utf-8")
    return path


def test_about_one_row_in_ten_is_held_out_and_no_row_is_lost(tmp_path: Path) -> None:
    blob = write(tmp_path / "blob", 1_000)
    template = templates.build("prompt_completion", labels=None)
    n_train = materialise(blob, template=template, target=tmp_path / "train.jsonl", side=Side.TRAIN)
    n_held_out = materialise(blob, template=template, target=tmp_path / "eval.jsonl", side=Side.EVALUATION)
    assert n_train + n_held_out == 1_000
    assert 60 <= n_held_out <= 140
    lines = [
        json.loads(line)
        for file in ("train.jsonl", "eval.jsonl")
        for line in (tmp_path / file).read_text().splitlines()
    ]
    assert {line["prompt"] for line in lines} == {f"p{n}" for n in range(1_000)}
    assert set(lines[0]) == {"prompt", "target"}


def test_the_side_of_a_row_does_not_change_when_rows_are_added(tmp_path: Path) -> None:
    template = templates.build("prompt_completion", labels=None)
    few = set(examples(write(tmp_path / "few", 500), template=template, side=Side.EVALUATION))
    many = set(examples(write(tmp_path / "many", 600), template=template, side=Side.EVALUATION))
    assert few <= many


@pytest.mark.parametrize("digests", [[1, 2], [10, 20], [10, 1], [3, 3, 7]])
def test_both_sides_have_a_row_and_share_none(digests: list[int]) -> None:
    sides = split(digests)
    train = {each for each in digests if sides.holds(Side.TRAIN, each)}
    held_out = {each for each in digests if sides.holds(Side.EVALUATION, each)}
    assert train
    assert held_out
    assert train | held_out == set(digests)
    assert not train & held_out
    assert all(sides.holds(Side.ALL, each) for each in digests)


def test_a_file_of_one_repeated_row_has_it_on_both_sides() -> None:
    sides = split([4, 4, 4])
    assert sides.holds(Side.TRAIN, 4)
    assert sides.holds(Side.EVALUATION, 4)


def test_rows_are_known_by_their_own_columns_only(tmp_path: Path) -> None:
    blob = write(tmp_path / "blob", 2)
    digests = rows.digests(blob, format_name="prompt_completion")
    assert digests[0] == rows.digest({"completion": " c0", "prompt": "p0"}, columns=("prompt", "completion"))


def test_materialised_rows_carry_their_options(tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_text('{"text": "t", "label": "a"}\n\n{"text": "u", "label": "b"}', encoding="utf-8")
    template = templates.build("text_label", labels=["a", "b"])
    assert materialise(blob, template=template, target=tmp_path / "all") == 2
    row = json.loads((tmp_path / "all").read_text().splitlines()[0])
    assert row["options"] == ["a", "b"]
    assert row["prompt"][slice(*row["cut"])] == "t"
    assert len(list(examples(blob, template=template))) == 2


def test_evaluation_rows_among_the_training_rows_are_a_leak() -> None:
    refuse_leak([1, 2], [3], part="eval_file")
    with pytest.raises(InvalidError, match="1 evaluation rows") as raised:
        refuse_leak([1, 2], [3, 2], part="eval_file")
    assert raised.value.code == "leak"
    assert raised.value.places[0].loc == ("eval_file",)
    assert "row 2" in raised.value.places[0].message

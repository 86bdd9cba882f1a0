"""The continual-learning benchmark on a tiny model and a folder of tasks that is made here."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_models import tiny_llama

from benchmarks.continual import compare
from benchmarks.continual.__main__ import main
from benchmarks.continual.data import Collection, Portion

COLOURS = ("red", "blue")


@pytest.fixture(scope="module")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base") / "llama")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for task in ("hue", "tint"):
        (folder / task).mkdir(parents=True)
        for split, rows in (("train", 12), ("dev", 6)):
            lines = [{"text": f"{task} {split} {n}", "label": COLOURS[n % 2]} for n in range(rows)]
            (folder / task / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    tasks = {task: {"question": "Which?", "options": COLOURS} for task in ("hue", "tint")}
    (folder / "benchmark.json").write_text(json.dumps({"tasks": tasks, "orders": {"both": ["hue", "tint"]}}))
    return folder


def run(data: Path, base: Path, out: Path, *, method: str = "inclora", **options: str) -> None:
    given = {"data": data, "order": "both", "method": method, "base": base, "out": out, "eval-rows": "4"}
    given |= {name.replace("_", "-"): value for name, value in options.items()}
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    main([*words, "--threads", "1", "--set", "training.max_steps=2"])


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def test_a_run_reports_what_was_learned_and_kept(data: Path, llama_folder: Path, tmp_path: Path) -> None:
    run(data, llama_folder, tmp_path / "out", method="jumplora+ella")
    found = report(tmp_path / "out")
    assert found["tasks"] == ["hue", "tint"]
    scores = found["scores"]
    assert [[cell is None for cell in row] for row in scores] == [[False, True], [False, False]]
    assert found["oa"] == pytest.approx((scores[1][0] + scores[1][1]) / 2)
    assert found["bwt"] == pytest.approx(scores[1][0] - scores[0][0])
    (pair,) = found["overlap"]
    assert pair["tasks"] == [0, 1]
    assert 0 <= pair["shared"] <= 1


def test_a_run_that_was_broken_off_goes_on_and_ends_the_same(data: Path, llama_folder: Path, tmp_path: Path) -> None:
    run(data, llama_folder, tmp_path / "whole")
    run(data, llama_folder, tmp_path / "broken")
    (tmp_path / "broken" / "report.json").unlink()
    (tmp_path / "broken" / "task-1-tint" / "record.json").unlink()
    run(data, llama_folder, tmp_path / "broken")
    for name in ("scores", "right", "density", "overlap"):
        assert report(tmp_path / "broken")[name] == report(tmp_path / "whole")[name]


def test_what_the_base_answers_is_asked_once(data: Path, llama_folder: Path, tmp_path: Path) -> None:
    run(data, llama_folder, tmp_path / "first", base_scores=str(tmp_path / "kept"))
    files = {file.name.split("-")[0]: file for file in (tmp_path / "kept").iterdir()}
    assert sorted(files) == ["hue", "tint"]
    assert report(tmp_path / "first")["base_scores"][0] == files["hue"].read_text().count("1") / 4
    files["hue"].write_text("0110")
    run(data, llama_folder, tmp_path / "second", base_scores=str(tmp_path / "kept"))
    assert report(tmp_path / "second")["base_scores"][0] == 0.5, "the kept answer is taken"
    run(data, llama_folder, tmp_path / "other-rows", base_scores=str(tmp_path / "kept"), eval_rows="5")
    assert len(list((tmp_path / "kept").iterdir())) == 4, "other rows are other scores"


def test_tasks_of_prompts_and_completions_are_taken_as_they_are() -> None:
    collection = Collection.open(Path("examples"))
    portion = Portion(train_rows=320, eval_rows=5, split="eval", seed=0)
    first, second = (collection.task(name, portion, lambda text: text) for name in collection.names("house"))
    assert (len(first.train), len(first.held_out), len(second.held_out)) == (264, 5, 5)
    assert first.held_out[0].prompt.endswith("Answer:")
    assert second.held_out[0].options == ("basalt", "ember", "quill", "zephyr")


def test_a_folder_keeps_to_one_run(data: Path, llama_folder: Path, tmp_path: Path) -> None:
    run(data, llama_folder, tmp_path / "out")
    with pytest.raises(SystemExit, match="other settings"):
        run(data, llama_folder, tmp_path / "out", seed="1")


def test_a_setting_that_cannot_be_is_named(data: Path, llama_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no order and no task 'none'"):
        run(data, llama_folder, tmp_path / "out", order="none")
    with pytest.raises(SystemExit, match=r"test\.jsonl is not there"):
        run(data, llama_folder, tmp_path / "out", eval_split="test")


def made(method: str, last: str, first: str = "1100110011") -> dict[str, Any]:
    """A report of two tasks of ten rows each."""
    return {
        "method": method,
        "order": "both",
        "settings": {"seed": 0},
        "tasks": ["a", "b"],
        "right": [{"a": first}, {"a": last, "b": "1111100000"}],
        "oa": (last.count("1") / 10 + 0.5) / 2,
        "bwt": (last.count("1") - first.count("1")) / 10,
        "plasticity": 0.5,
        "density": [0.2, 0.1],
    }


def test_methods_are_compared_row_by_row() -> None:
    better, worse = made("jumplora", "1100110011"), made("inclora", "0000110011")
    first, second = compare.compare([worse, better], baseline="inclora")
    assert (first["method"], second["method"]) == ("jumplora", "inclora")
    assert first["oa_difference"].value == pytest.approx(0.1)
    assert first["bwt_difference"].value == pytest.approx(0.2)
    assert first["oa_difference"].low >= 0 < first["oa_difference"].high
    assert second["oa_difference"] is None
    assert "| `jumplora` | both/0 | 0.550 |" in compare.table([first, second], baseline="inclora")


def test_equal_runs_differ_by_nothing() -> None:
    same = made("jumplora", "1010101010"), made("inclora", "1010101010")
    (found,) = (
        line["oa_difference"] for line in compare.compare(same, baseline="inclora") if line["method"] == "jumplora"
    )
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_run_agrees_with_its_own_report_and_not_with_a_far_one(
    data: Path, llama_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(data, llama_folder, tmp_path / "out")
    committed = tmp_path / "committed.json"
    committed.write_text(json.dumps(report(tmp_path / "out")))
    main(["agree", "--with", str(committed), str(tmp_path / "out")])
    assert capsys.readouterr().out.splitlines()[-2].startswith("oa ")
    committed.write_text(json.dumps(report(tmp_path / "out") | {"oa_interval": [2.0, 3.0]}))
    with pytest.raises(SystemExit, match="outside of the committed interval: oa"):
        main(["agree", "--with", str(committed), str(tmp_path / "out")])
    committed.write_text(json.dumps(report(tmp_path / "out") | {"method": "ella"}))
    with pytest.raises(SystemExit, match="not the same run: method differ"):
        main(["agree", "--with", str(committed), str(tmp_path / "out")])


def test_a_comparison_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for name, last in (("jumplora", "1100110011"), ("inclora", "0000110011")):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(made(name, last)))
    compare.main([*map(str, files), "--plot", str(tmp_path / "comparison.svg")])
    assert "jumplora" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "comparison.svg").read_text()

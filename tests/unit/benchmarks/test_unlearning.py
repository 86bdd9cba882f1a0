"""Un-learning is measured on the saved run of a tiny model."""

import json
from pathlib import Path

import pytest
from tiny_models import tiny_llama

from benchmarks import unlearning
from benchmarks.continual.__main__ import main as run

COLOURS = ("red", "blue")
TASKS = ("hue", "tint", "shade")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of a run of three tasks, and that of its data."""
    root = tmp_path_factory.mktemp("unlearning")
    data = root / "data"
    for task in TASKS:
        (data / task).mkdir(parents=True)
        for split, rows in (("train", 12), ("dev", 6)):
            lines = [{"text": f"{task} {split} {n}", "label": COLOURS[n % 2]} for n in range(rows)]
            (data / task / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    tasks = {task: {"question": "Which?", "options": COLOURS} for task in TASKS}
    (data / "benchmark.json").write_text(json.dumps({"tasks": tasks, "orders": {"three": TASKS}}))
    words = ["--data", data, "--order", "three", "--method", "jumplora", "--base", tiny_llama(root / "base")]
    settings = ["--threads", "1", "--set", "training.max_steps=6", "--set", "training.learning_rate=0.02"]
    run([*map(str, words), "--out", str(root / "run"), "--eval-rows", "4", *settings])
    return root / "run", data


def measure(finished: tuple[Path, Path], *words: str) -> None:
    folder, data = finished
    unlearning.main(["--run", str(folder), "--data", str(data), "--threads", "1", *words])


def test_each_task_left_out_is_scored_with_all_the_others(
    finished: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "unlearning.json"
    measure(finished, "--leave-out", "all", "--out", str(out))
    found = json.loads(out.read_text())
    report = json.loads((finished[0] / "report.json").read_text())
    assert [case["left_out"] for case in found["cases"]] == list(TASKS)
    for case, score in zip(found["cases"], report["scores"][-1], strict=True):
        assert case["before"] == score
        assert case["difference"]["value"] == pytest.approx(case["after"] - case["before"])
        others = [case["after_by_task"][name] for name in TASKS if name != case["left_out"]]
        assert case["others_after"] == pytest.approx(sum(others) / 2)
    # Without the last task the model is what it was before it.
    last = found["cases"][-1]["after_by_task"]
    assert [last["hue"], last["tint"]] == report["scores"][1][:2]
    printed = capsys.readouterr().out
    unlearning.main(["table", str(out)])
    assert capsys.readouterr().out == printed
    assert printed.count("| `jumplora` | three/0 |") == 3


def test_the_first_the_middle_and_the_last_are_left_out_unless_told_otherwise(
    finished: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    measure(finished)
    assert capsys.readouterr().out.count("three/0") == 3
    measure(finished, "--leave-out", "tint")
    assert capsys.readouterr().out.count("three/0") == 1
    with pytest.raises(SystemExit, match="no task 'none'"):
        measure(finished, "--leave-out", "none")

"""The command and the client send a file as what its ending says."""

from pathlib import Path

import pyarrow as pa
import pytest
from listening import Listening
from pyarrow import parquet
from typer.testing import CliRunner, Result

from strata.cli.app import app

ROWS = [{"text": f"note {n}, wet", "label": ("basalt", "ember")[n % 2]} for n in range(20)]


def run(listening: Listening, *words: str) -> Result:
    return CliRunner().invoke(app, ["--url", listening.url, *words], env={"COLUMNS": "200"}, catch_exceptions=False)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {ending: tmp_path / f"notes.{ending}" for ending in ("csv", "parquet")}
    made["csv"].write_text("text,label\n" + "".join(f'"{row["text"]}",{row["label"]}\n' for row in ROWS))
    parquet.write_table(pa.Table.from_pylist(ROWS), made["parquet"])
    return made


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_of_either_ending_is_submitted(listening: Listening, files: dict[str, Path]) -> None:
    listening.client.models.create("desk", base_model="tiny")
    for container, file in files.items():
        told = run(listening, "tasks", "submit", "desk", str(file), "-n", container)
        assert told.exit_code == 0, told.output
        (task,) = [each for each in listening.client.tasks.list() if each.name == container]
        dataset = listening.client.datasets.get(task.dataset_id or "")
        assert (dataset.container, dataset.format, dataset.n_rows) == (container, "text_label", 20)
        assert listening.client.datasets.create(file).id == dataset.id


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_bad_line_or_row_is_named(listening: Listening, files: dict[str, Path]) -> None:
    listening.client.models.create("desk", base_model="tiny")
    files["csv"].write_text(files["csv"].read_text() + "one field\n")
    parquet.write_table(pa.Table.from_pylist([*ROWS, {"text": None, "label": "ember"}]), files["parquet"])
    for container, line in (("csv", "line 22"), ("parquet", "line 21")):
        told = run(listening, "tasks", "submit", "desk", str(files[container]), "-n", container)
        assert told.exit_code == 1
        assert line in told.stderr
    assert list(listening.client.datasets.list()) == []

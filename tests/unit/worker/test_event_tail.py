"""Reading a growing file of events: each one once, none before its line is whole."""

from pathlib import Path

import pytest

from core.domain.job_folder import CheckpointEvent
from worker.control.event_tail import EventTail

LINE = CheckpointEvent(step=7).model_dump_json().encode() + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_file_that_is_not_there_yet_has_no_events(path: Path) -> None:
    assert EventTail(path).read() == []


def test_each_event_is_read_once(path: Path) -> None:
    tail = EventTail(path)
    append(path, LINE * 2)
    assert len(tail.read()) == 2

    append(path, LINE)
    assert tail.read() == [CheckpointEvent(step=7)]
    assert tail.read() == []


@pytest.mark.parametrize("cut", range(1, len(LINE)))
def test_half_a_line_waits_for_its_other_half(path: Path, cut: int) -> None:
    tail = EventTail(path)
    append(path, LINE[:cut])
    assert tail.read() == []

    append(path, LINE[cut:])
    assert tail.read() == [CheckpointEvent(step=7)]


@pytest.mark.parametrize(
    "bad", [b"not json\n", b'{"event": "unknown"}\n', b'{"event": "checkpoint"}\n', b"\n", b"\xff\n"]
)
def test_a_line_that_is_no_event_is_passed_over(path: Path, bad: bytes) -> None:
    append(path, bad + LINE)

    assert EventTail(path).read() == [CheckpointEvent(step=7)]

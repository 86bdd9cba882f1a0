"""Crash points: one list of all of them, none missing where something must be whole or absent, and none without effect."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.domain.crash_points import POINTS, VARIABLE

ROOT = Path(__file__).parents[4]
PACKAGES = ("api", "core", "worker")
PROGRAM = """
from core.domain.crash_points import crash_point
for _ in range(3):
    crash_point("commit.before")
print("alive")
"""


def calls() -> Iterator[tuple[Path, ast.Call]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield path.relative_to(ROOT), node


def attribute(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def run(fuses: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, VARIABLE: str(fuses)}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_list_names_every_point_of_the_code_and_no_other() -> None:
    found = [
        argument.value
        for _, call in calls()
        if isinstance(call.func, ast.Name) and call.func.id == "crash_point"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    ]

    assert set(found) == POINTS
    assert len(found) == len(POINTS), "each point stands in one place"


def test_every_moment_has_a_point_before_and_one_after_it() -> None:
    assert {name.partition(".")[0] for name in POINTS if name.endswith(".before")} == {
        name.partition(".")[0] for name in POINTS if name.endswith(".after")
    }


@pytest.mark.parametrize("name", ["fsync", "rename", "replace"])
def test_whatever_is_synced_or_renamed_passes_the_points(name: str) -> None:
    """`replace` of one argument is a path's; a string's has two, a dataclass's has keywords."""
    where = {
        str(path) for path, call in calls() if attribute(call) == name and len(call.args) == 1 and not call.keywords
    }

    assert where <= {"core/storage/durable.py"}


def test_whatever_is_committed_passes_the_points() -> None:
    """SQL is spoken in the registry only: import-linter sees to that."""
    registry = ("core", "registry")
    begun = {
        path.name for path, call in calls() if path.parts[:2] == registry and attribute(call) in {"begin", "commit"}
    }

    assert begun == {"work.py"}


def test_a_process_dies_at_a_fuse_and_the_next_one_does_not(tmp_path: Path) -> None:
    (tmp_path / "commit.before").touch()

    assert run(tmp_path).returncode == -9
    assert run(tmp_path).stdout == "alive\n"


@pytest.mark.parametrize(("passes", "code"), [(3, -9), (4, 0)])
def test_a_fuse_lets_as_many_pass_as_it_says(tmp_path: Path, passes: int, code: int) -> None:
    (tmp_path / "commit.before").write_text(f"kill {passes}")

    assert run(tmp_path).returncode == code


def test_a_fuse_of_another_point_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "commit.after").touch()

    assert run(tmp_path).stdout == "alive\n"

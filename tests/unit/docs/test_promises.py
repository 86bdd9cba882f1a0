"""The page of promises names tests that exist, one line a promise, none left out."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "explanation" / "what-is-promised.md").read_text(encoding="utf-8")
PROMISES = {line.split(" | ")[0].strip("| "): line for line in PAGE.splitlines() if line.startswith("| I")}
PROOF = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def defined_in(path: Path) -> set[str]:
    named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, named)}


def test_every_promise_has_a_line() -> None:
    assert list(PROMISES) == [f"I{number}" for number in range(1, 29)]


def test_every_promise_names_its_proof() -> None:
    assert {number for number, line in PROMISES.items() if not PROOF.search(line)} == set()


def test_every_proof_that_is_named_exists() -> None:
    missing = [
        f"{file}::{name}"
        for file, name in PROOF.findall(PAGE)
        if not (ROOT / file).is_file() or name not in defined_in(ROOT / file)
    ]
    assert missing == []

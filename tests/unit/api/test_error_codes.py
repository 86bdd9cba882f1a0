"""The list of error codes is closed: what is raised is listed, and what is listed is documented."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api import errors
from api.error_codes import CODE_OF_STATUS, CODES, JOB_CODES
from core.domain import errors as domain
from core.domain.errors import Place, StrataError
from core.domain.job_folder import ExitCode

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
# Never leaves the process that starts with wrong settings.
OF_A_START = {"invalid_settings"}


def classes(root: type[StrataError] = StrataError) -> Iterator[type[StrataError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == domain.__name__:
            yield from classes(child)


def raised(folder: str) -> Iterator[str]:
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                yield str(node.value.value)


def test_every_code_that_is_raised_is_listed() -> None:
    found = {code for folder in ("api", "core", "worker") for code in raised(folder)}
    assert found - set(CODES) - set(JOB_CODES) - OF_A_START == set()


def test_every_code_of_the_domain_has_a_status() -> None:
    assert {each.default_code for each in classes()} <= set(CODES)
    assert set(CODE_OF_STATUS.values()) <= set(CODES)
    assert all(CODES[code].status == status for status, code in CODE_OF_STATUS.items())


def test_every_failure_of_a_trainer_is_a_listed_job_code() -> None:
    ends_otherwise = {ExitCode.OK, ExitCode.ORPHANED, ExitCode.CANCELLED}
    assert {code.name.lower() for code in set(ExitCode) - ends_otherwise} <= set(JOB_CODES)


def test_the_page_lists_exactly_the_codes() -> None:
    answers, jobs = PAGE.split("## Codes of failed jobs")
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+) \|$", answers, flags=re.MULTILINE)
    assert rows == [(name, str(code.status), code.meaning) for name, code in CODES.items()]
    assert re.findall(r"^\| `(\w+)` \| (.+) \|$", jobs, flags=re.MULTILINE) == list(JOB_CODES.items())


@pytest.mark.parametrize("kind", list(classes()), ids=lambda kind: kind.__name__)
def test_a_code_outside_the_list_is_shown_as_its_kinds_own(kind: type[StrataError]) -> None:
    if kind is domain.IllegalMoveError:
        error: StrataError = domain.IllegalMoveError(subject="job", state="failed", to="queued")
    else:
        error = kind("told", code="something_else", places=[Place(loc=("a", 0), message="b")])
    shown = errors.problem(error, path="/", request_id="req_1")
    assert shown.code == kind.default_code
    assert shown.status == CODES[kind.default_code].status


def test_a_full_disk_is_507(client: TestClient) -> None:
    app = client.app

    @app.get("/full")  # type: ignore[attr-defined, untyped-decorator]
    def full() -> None:
        raise OSError(28, "No space left on device")

    assert client.get("/full").json()["code"] == "disk_full"

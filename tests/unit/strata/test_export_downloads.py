"""Exports come home whole: a cut download goes on where it stopped, and what is damaged is fetched anew."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_service import FakeService, job, problem
from rich.console import Console
from typer.testing import CliRunner, Result

from strata import Client
from strata.cli.app import app
from strata.cli.session import Session
from strata.client import DamagedDownloadError, JobFailedError, UnexpectedAnswerError
from strata.client.export_results import Export
from strata.client.jobs import Patience

CONTENT = bytes(range(256)) * 8
FILE = "/v1/exports/exp_1/files/weights/model.safetensors"
Run = Callable[..., Result]


def told(state: str = "succeeded", **changes: Any) -> dict[str, Any]:
    file = {
        "name": "weights/model.safetensors",
        "bytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "href": FILE,
    }
    proof = {"max_abs_difference": 1e-6, "tolerance": 1e-4}
    known = {
        "id": "exp_1",
        "version": "desk@1",
        "version_id": "ver_1",
        "format": "merged",
        "dtype": "stored",
        "state": state,
        "job_id": "job_1",
        "size_bytes": len(CONTENT),
        "manifest_sha256": "a" * 64,
        "files": [file],
        "parity": proof,
    }
    return known | changes


class Cut(httpx.SyncByteStream):
    """An answer that breaks off."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        raise httpx.ReadError("the connection broke")


def served(request: httpx.Request, *, content: bytes = CONTENT, cut_after: int | None = None) -> httpx.Response:
    """Answer as the service does, or break off."""
    asked = request.headers.get("range")
    first = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
    assert not asked or request.headers["if-range"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    part = content[first:]
    status = 206 if asked else 200
    return httpx.Response(status, stream=Cut(part[:cut_after])) if cut_after else httpx.Response(status, content=part)


@pytest.fixture
def export() -> Export:
    return Export.model_validate(told())


def asked_from(service: FakeService) -> list[str | None]:
    return [request.headers.get("range") for request in service.requests if request.url.path == FILE]


def test_a_download_that_breaks_off_goes_on_where_it_stopped(
    service: FakeService, client: Client, export: Export, tmp_path: Path
) -> None:
    service.on(f"GET {FILE}", lambda r: served(r, cut_after=700), lambda r: served(r, cut_after=300), served)
    seen: list[int] = []
    (place,) = client.exports.download(export, tmp_path, on_progress=lambda _, here: seen.append(here))
    assert place.read_bytes() == CONTENT
    assert place == tmp_path / "weights" / "model.safetensors"
    assert asked_from(service) == [None, "bytes=700-", "bytes=1000-"]
    assert seen == sorted(seen)
    assert seen[-1] == len(CONTENT)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["model.safetensors"]


def test_what_an_earlier_process_left_is_taken_up_and_what_is_whole_is_not_fetched_again(
    service: FakeService, client: Client, export: Export, tmp_path: Path
) -> None:
    (tmp_path / "weights").mkdir()
    part = tmp_path / "weights" / "model.safetensors.part"
    part.write_bytes(CONTENT[:1500])
    service.on(f"GET {FILE}", served)
    client.exports.download(export, tmp_path)
    client.exports.download(export, tmp_path)
    assert asked_from(service) == ["bytes=1500-"]


@pytest.mark.parametrize(
    "left", [b"x" * 1500, CONTENT + b"more", b"x" * len(CONTENT)], ids=["damaged", "long", "whole"]
)
def test_a_damaged_part_is_thrown_away(
    left: bytes, service: FakeService, client: Client, export: Export, tmp_path: Path
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.safetensors.part").write_bytes(left)
    service.on(f"GET {FILE}", served)
    (place,) = client.exports.download(export, tmp_path)
    assert place.read_bytes() == CONTENT


def test_a_service_that_sends_all_of_it_anew_is_taken_at_its_word(
    service: FakeService, client: Client, export: Export, tmp_path: Path
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.safetensors.part").write_bytes(b"y" * 1500)
    service.on(f"GET {FILE}", httpx.Response(200, content=CONTENT))
    assert client.exports.download(export, tmp_path)[0].read_bytes() == CONTENT


@pytest.mark.parametrize("wrong", [b"z" * len(CONTENT), CONTENT + b"more"])
def test_a_file_with_another_hash_is_no_download(
    wrong: bytes, service: FakeService, client: Client, export: Export, tmp_path: Path
) -> None:
    service.on(f"GET {FILE}", lambda request: served(request, content=wrong))
    with pytest.raises(DamagedDownloadError):
        client.exports.download(export, tmp_path)
    assert not (tmp_path / "weights" / "model.safetensors").exists()


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "", "a\\b"])
def test_no_file_goes_outside_of_the_folder(name: str, client: Client, tmp_path: Path) -> None:
    file = told()["files"][0] | {"name": name}
    with pytest.raises(UnexpectedAnswerError):
        client.exports.download(Export.model_validate(told(files=[file])), tmp_path / "out")
    assert not list(tmp_path.rglob("evil"))


def test_who_waits_is_told_why_there_is_none(service: FakeService, client: Client) -> None:
    error = {"code": "parity_failed", "detail": "its logits differ"}
    service.on("GET /v1/exports/exp_1", told("running"), told("failed", error=error))
    with pytest.raises(JobFailedError, match="its logits differ") as failed:
        client.exports.wait("exp_1", patience=Patience(poll_seconds=0.0))
    assert failed.value.code == "parity_failed"
    assert "--format" in str(failed.value.next_step)


@pytest.fixture
def run(service: FakeService) -> Run:
    def connect(url: str, api_key: str | None) -> Client:
        return Client(url, api_key, transport=httpx.MockTransport(service.handle))

    def typed(*words: str) -> Result:
        session = Session(url="http://strata.test", connect=connect, results=Console(highlight=False, width=200))
        return CliRunner().invoke(app, list(words), obj=session, catch_exceptions=False)

    return typed


def test_the_command_asks_waits_downloads_and_checks(service: FakeService, run: Run, tmp_path: Path) -> None:
    service.on("POST /v1/versions/desk@1/exports", told("queued", files=[], parity=None), status=202)
    service.on("GET /v1/jobs/job_1", job("running", kind="export"), job("succeeded", kind="export"))
    service.on("GET /v1/jobs/job_1/metrics", {"series": {}})
    service.on("GET /v1/exports/exp_1", told())
    service.on(f"GET {FILE}", served)
    words = ("models", "export", "desk@1", "--format", "gguf", "--dtype", "f16", "--out", str(tmp_path / "new"))
    shown = run(*words)
    assert shown.exit_code == 0, shown.output
    assert service.sent(0) == {"format": "gguf", "dtype": "f16"}
    assert (tmp_path / "new" / "weights" / "model.safetensors").read_bytes() == CONTENT
    for text in ("desk@1", "1.00e-06 off, 1.00e-04 is allowed", "a" * 64):
        assert text in shown.stdout
    assert "README.md" in shown.stderr
    service.on("POST /v1/versions/desk@1/exports", told())
    printed = json.loads(run(*words, "--json").stdout)
    assert (printed["id"], printed["folder"]) == ("exp_1", str(tmp_path / "new"))
    assert len(asked_from(service)) == 1


def test_a_folder_with_other_files_is_left_alone(service: FakeService, run: Run, tmp_path: Path) -> None:
    service.on("POST /v1/versions/desk/exports", told())
    (tmp_path / "mine").write_text("mine")
    refused = run("models", "export", "desk", "--format", "merged", "--out", str(tmp_path))
    assert refused.exit_code == 2
    assert "holds other files" in " ".join(refused.stderr.replace("│", " ").split())
    assert asked_from(service) == []


def test_what_cannot_be_exported_is_told_with_what_to_do(service: FakeService, run: Run, tmp_path: Path) -> None:
    places = [{"loc": ["format"], "message": "the layers are Conv1D", "hint": "export it as merged"}]
    fault = problem(422, "unsupported_export", "this version cannot be exported as adapter", places)
    service.on("POST /v1/versions/desk/exports", fault)
    refused = run("models", "export", "desk", "--format", "adapter", "--out", str(tmp_path / "new"))
    assert refused.exit_code == 1
    assert "export it as merged" in refused.stderr
    assert "next" in refused.stderr

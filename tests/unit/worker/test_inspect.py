"""The `inspect` process: from a source to facts, or to an exit code and a reason."""

import json
from pathlib import Path

import pytest

from core.domain.base_facts import BaseFacts
from core.domain.job_folder import ExitCode, JobFolder
from core.domain.trainer_spec import InspectSpec
from core.weights import base
from tests.tiny_models import tiny_t5
from worker.compute.inspect import main


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    (tmp_path / "job").mkdir()
    return JobFolder(tmp_path / "job")


def _spec(job: JobFolder, source: str, target: Path) -> None:
    job.spec.write_text(InspectSpec(source=source, target=str(target)).model_dump_json())


def _events(job: JobFolder) -> list[dict[str, str]]:
    return [json.loads(line) for line in job.events.read_text().splitlines()]


def test_a_folder_becomes_facts_and_a_copy(job: JobFolder, tmp_path: Path) -> None:
    origin = tiny_t5(tmp_path / "origin")
    _spec(job, f"folder:{origin}", tmp_path / "shelf" / ".t5")
    assert main([str(job.root)]) == ExitCode.OK
    facts = BaseFacts.model_validate_json((job.out / "facts.json").read_bytes())
    assert facts.family == "seq2seq"
    assert base.load(tmp_path / "shelf" / ".t5").facts == facts
    assert [event["event"] for event in _events(job)] == ["phase"]


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("wheel:no-such-distribution", ExitCode.INVALID_SPEC, "source_not_found"),
        ("ftp:somewhere", ExitCode.INVALID_SPEC, "invalid_source"),
    ],
)
def test_a_source_that_cannot_be_read_ends_with_a_reason(
    source: str, code: ExitCode, said: str, job: JobFolder, tmp_path: Path
) -> None:
    _spec(job, source, tmp_path / "t")
    assert main([str(job.root)]) == code
    assert _events(job)[-1]["code"] == said
    assert not (job.out / "facts.json").exists()


def test_damaged_weights_end_as_corrupt(job: JobFolder, tmp_path: Path) -> None:
    origin = tiny_t5(tmp_path / "origin")
    (origin / "model.safetensors").write_bytes(b"no tensors")
    _spec(job, f"folder:{origin}", tmp_path / "t")
    assert main([str(job.root)]) == ExitCode.CORRUPT_ARTEFACT


def test_a_spec_that_is_none_is_said_so(job: JobFolder) -> None:
    job.spec.write_text("{}")
    assert main([str(job.root)]) == ExitCode.INVALID_SPEC
    assert _events(job)[-1]["code"] == "invalid_spec"

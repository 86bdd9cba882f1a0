"""The trainer as the worker starts it: a process, a folder, an exit code."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from job_folders import SMALL, Lineage, curve, events, phases, scores

from core.domain.job_folder import ErrorEvent, ExitCode, JobFolder, ProgressEvent

PATIENCE_SECONDS = 150


def start(folder: JobFolder) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "worker.compute.trainer", str(folder.root)]
    with folder.log.open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)


def exit_code(folder: JobFolder) -> int:
    process = start(folder)
    try:
        return process.wait(PATIENCE_SECONDS)
    finally:
        process.kill()
        assert process.stdin is not None
        process.stdin.close()


def test_a_task_goes_through_its_phases_and_leaves_a_sealed_version(llama_folder: Path, tmp_path: Path) -> None:
    lineage = Lineage(tmp_path, llama_folder)
    folder = lineage.stage("first")
    assert exit_code(folder) == ExitCode.OK, folder.log.read_text()
    told = events(folder)
    assert phases(told) == ["preparing", "training", "evaluating", "publishing"]
    progress = [event for event in told if isinstance(event, ProgressEvent) and event.values]
    assert (progress[-1].step, progress[-1].total_steps, progress[-1].eta_seconds) == (8, 8, 0.0)
    series = {"loss", "ce_loss", "ella_loss", "drift_loss", "sparsity", "threshold", "learning_rate", "grad_norm"}
    assert set(progress[-1].values) == series
    assert 0 < curve(told, "sparsity")[-1] < 1
    assert len(scores(told)) == 3
    manifest = lineage.finish(folder)
    assert manifest.provenance.job_id == "job_1"
    assert {"torch", "peft"} <= set(manifest.libraries)


def test_asked_to_stop_it_writes_a_checkpoint_and_goes_on_from_there(llama_folder: Path, tmp_path: Path) -> None:
    spec = SMALL | {"training": SMALL["training"] | {"max_steps": 4000}}
    folder = Lineage(tmp_path, llama_folder, spec=spec).stage("long")
    process = start(folder)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (folder.events.exists() and '"progress"' in folder.events.read_text()):
        assert process.poll() is None, folder.log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == ExitCode.CANCELLED
    assert process.stdin is not None
    process.stdin.close()
    (checkpoint,) = folder.checkpoints.glob("step-*/manifest.json")
    assert checkpoint.is_file()
    assert isinstance(events(folder)[-1], ErrorEvent)
    assert not folder.out.exists()


def test_a_spec_that_is_none_is_told_apart_from_a_crash(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    folder.spec.write_text('{"schema_version": 1}')
    assert exit_code(folder) == ExitCode.INVALID_SPEC
    (event,) = events(folder)
    assert isinstance(event, ErrorEvent)
    assert event.code == "invalid_spec"

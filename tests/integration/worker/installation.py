"""One installation of the service without its API and engine: a real registry, real folders, the fake trainer."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.datasets.validator import Validator
from core.domain.jobs import TERMINAL
from core.domain.ports import Dispatcher
from core.domain.records import Job
from core.learning.recipe import TaskSpec
from core.registry.work import Registry
from core.services import base_models, datasets, jobs, models, projects, tasks
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.services.tasks import TaskSubmission
from core.settings import Settings
from core.storage import opening
from worker.control import assembly
from worker.control.loop import run_next


def never() -> bool:
    return False


def nothing() -> None:
    return


@dataclass
class Installation:
    settings: Settings
    registry: Registry
    dispatcher: Dispatcher

    @property
    def environment(self) -> dict[str, str]:
        """What a process of this installation gets."""
        settings = self.settings.model_dump(mode="json", exclude_none=True, exclude={"engine_secret"})
        return dict(os.environ) | {f"STRATA_{name.upper()}": str(value) for name, value in settings.items()}

    def work_off(self) -> None:
        """Run every queued job in this process, as a worker would."""
        with assembly.open_context(self.settings) as context:
            while run_next(context, stop_requested=never, chores=nothing):
                continue

    def add_base_model(self, source: str = "folder:/models/ok") -> None:
        with self.registry.write() as work:
            base_models.add(work, name=f"tiny-{source.rsplit('/', 1)[1]}", source=source, dispatcher=self.dispatcher)

    def create_model(self, name: str = "support") -> None:
        with self.registry.write() as work:
            models.create(work, project_id=PROJECT, name=name, base_model="tiny-ok", method=None)

    def submit(self, task: str, *, model: str = "support", spec: TaskSpec | None = None) -> Job:
        """Post a task of 40 rows of its own; its name's first word says what the trainer will do."""
        content = b"".join(
            json.dumps({"prompt": f"{task} {n}?", "completion": f" {n}"}).encode() + b"\n" for n in range(40)
        )
        validator = Validator(max_rows=1000)
        validator.feed(content)
        report = validator.finish()
        self.settings.uploads_dir.mkdir(parents=True, exist_ok=True)
        upload = self.settings.uploads_dir / hashlib.sha256(content).hexdigest()
        upload.write_bytes(content)
        opening.blob_store(self.settings.blobs_dir, **self.settings.storage).adopt(upload, sha256=report.sha256)
        with self.registry.write() as work:
            dataset = datasets.register(
                work,
                project_id=PROJECT,
                sha256=report.sha256,
                size_bytes=report.size_bytes,
                format=str(report.format),
                n_rows=report.n_rows,
                report=report.model_dump(mode="json"),
            )
            submission = TaskSubmission(model=model, name=task, dataset_id=dataset.id, spec=spec or TaskSpec())
            return tasks.submit(work, project_id=PROJECT, submission=submission, dispatcher=self.dispatcher).job

    def job(self, job: Job) -> Job:
        with self.registry.read() as work:
            return jobs.get(work, project_id=PROJECT, job_id=job.id)

    def folder(self, job: Job, fence: int | None = None) -> Path:
        return self.settings.jobs_dir / job.id / str(fence or self.job(job).fence)

    def await_end(self, job: Job, *, seconds: float = 30.0) -> Job:
        await_that(lambda: self.job(job).state in TERMINAL, seconds=seconds)
        return self.job(job)

    @contextmanager
    def worker(self, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker as a real process: the polling one unless another is named."""
        arguments = command or ("worker.control",)
        log = (self.settings.data_dir / "worker.log").open("ab")
        process = subprocess.Popen([sys.executable, "-m", *arguments], env=self.environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            log.close()
            if process.poll() is None:
                process.terminate()
            process.wait(30)


Install = Callable[..., Installation]


def await_that(condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def prepare(registry: Registry) -> None:
    with registry.write() as work:
        projects.ensure_default(work)

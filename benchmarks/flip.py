"""How soon a new version answers after its commit, with callers asking all the while.

    python -m benchmarks.flip [--url http://127.0.0.1:8321] [--base smollm2-135m-instruct] [--callers 4] [--versions 3]

Asks a running service; each version is learned in three steps from `examples/house_code`. Prints one JSON object:
`seconds` from each job's commit to the first answer of its version, the `answers` given in all, and the `failures`
among them, which must be 0. Run it while no other trainer runs.
"""

import argparse
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from strata.client import Client
from strata.client.errors import StrataAPIError
from strata.client.results import Job

ROWS = Path(__file__).parents[1] / "examples" / "house_code" / "train.jsonl"
SPEC: dict[str, Any] = {
    "training": {"max_steps": 3, "batch_size": 4, "max_target_tokens": 8},
    "evaluation": {"max_rows": 8},
}
ANSWER_SECONDS = 60.0


@dataclass(slots=True)
class Callers:
    """Threads that ask one model again and again, and note when each version first answered."""

    client: Client
    model: str
    first_answer: dict[str, float] = field(default_factory=dict)
    answers: int = 0
    failures: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self) -> None:
        """Ask until stopped."""
        while not self.stopped.is_set():
            try:
                answer = self.client.generate(self.model, "The house code is", max_tokens=4, temperature=0.0)
            except StrataAPIError as error:
                with self.lock:
                    self.failures.append(str(error))
                continue
            with self.lock:
                self.answers += 1
                self.first_answer.setdefault(str(answer.version_id), time.time())

    def await_version(self, job: Job) -> float:
        """Return the seconds from the job's commit to the first answer of its version.

        Raises:
            TimeoutError: it did not answer within a minute.
        """
        limit = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < limit:
            with self.lock:
                seen = self.first_answer.get(str(job.result_version_id))
            if seen is not None:
                return seen - datetime.fromisoformat(str(job.finished_at)).timestamp()
            time.sleep(0.05)
        raise TimeoutError(f"{job.result_version} did not answer")


def measure(client: Client, *, base: str, callers: int, versions: int) -> dict[str, Any]:
    """Learn ``versions`` short tasks under ``callers`` callers and return the figures."""
    model = client.models.create(f"flip-{int(time.time())}", base_model=base)
    asking = Callers(client, model.name)
    threads = [threading.Thread(target=asking.ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    seconds = []
    try:
        for number in range(versions):
            job = client.tasks.submit(model.name, ROWS, name=f"task-{number}", spec=SPEC)
            seconds.append(round(asking.await_version(client.jobs.wait(job.id)), 2))
    finally:
        asking.stopped.set()
        for thread in threads:
            thread.join()
    return {"seconds": seconds, "callers": callers, "answers": asking.answers, "failures": asking.failures}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the service at ``--url``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flip", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8321")
    parser.add_argument("--base", default="smollm2-135m-instruct")
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--versions", type=int, default=3)
    given = parser.parse_args(arguments)
    figures = measure(Client(given.url), base=given.base, callers=given.callers, versions=given.versions)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

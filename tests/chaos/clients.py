"""The users of a run: they post tasks, change their minds, promote, roll back, ask, and look at what is published."""

import json
import random
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.domain.errors import StrataError
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.storage import manifests
from tests.chaos.calls import Answer, Caller
from tests.chaos.journal import Journal, Outcome

BASE = "tiny"
MODELS = ("amber", "basalt", "cobalt", "dune", "ember", "flint")
REAL_MODELS = ("real-east", "real-west")
REAL_SPEC = {"training": {"max_steps": 6, "batch_size": 4}, "evaluation": {"max_rows": 2}}
# More would wait for longer than a run has time to come to rest.
MOST_WAITING = 14
# Then to ask again at once would take the machine's time from the jobs.
FULL_SECONDS = 0.5
REMEMBERED = 12
# Of a request under a key; a minute of them.
MOST_TRIES = 300


@dataclass(slots=True)
class Shared:
    """What the users know together."""

    url: str
    journal: Journal
    artefacts_dir: Path
    stop: threading.Event = field(default_factory=threading.Event)
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    torn: list[str] = field(default_factory=list)


class User(threading.Thread, ABC):
    """Does its thing every so often until the run stops."""

    every_seconds = (0.1, 0.3)

    def __init__(self, shared: Shared, seed: int) -> None:
        super().__init__(name=type(self).__name__, daemon=True)
        self.shared = shared
        self.random = random.Random(seed)
        self.caller = Caller(shared.url, shared.journal)

    def run(self) -> None:
        while not self.shared.stop.wait(self.random.uniform(*self.every_seconds)):
            self.act()
        self.caller.close()

    @abstractmethod
    def act(self) -> None:
        """Do one thing."""


class Submitter(User):
    """Posts small tasks; with a key in hand it asks until it knows."""

    def __init__(self, shared: Shared, seed: int) -> None:
        super().__init__(shared, seed)
        self.count = 0

    def act(self) -> None:
        waiting = self.caller.get("/v1/jobs", state="queued", limit=100)
        if waiting is None or len(waiting["data"]) >= MOST_WAITING:
            self.shared.stop.wait(FULL_SECONDS)
            return
        self.count += 1
        kind = self.random.choices(("walk", "stroll"), (4, 1))[0]
        key = uuid.UUID(int=self.random.getrandbits(128)).hex if self.random.random() < 0.7 else None
        name = f"{kind}-{self.ident}-{self.count}"
        self.post(self.random.choice(MODELS), name, key=key)

    def post(self, model: str, name: str, *, key: str | None, spec: dict[str, Any] | None = None) -> None:
        """Post a task of rows of its own, again and again under its key until there is an answer."""
        for _ in range(MOST_TRIES):
            answer = submit(self.caller, model, name, key=key, spec=spec)
            if answer.outcome == "ok" and answer.body is not None and spec is None:
                # What is really trained is left to come to its end.
                self.shared.recent.append(answer.body["id"])
            if answer.outcome != "info" or key is None:
                return
            time.sleep(0.2)


class RealSubmitter(Submitter):
    """Posts tasks for the real trainer, one at a time, under a key."""

    def __init__(self, shared: Shared, seed: int, *, tasks: int, seconds: float) -> None:
        super().__init__(shared, seed)
        self.tasks = tasks
        self.every_seconds = (0.6 * seconds / tasks, 0.9 * seconds / tasks)

    def run(self) -> None:
        # The first at once: real training takes its time.
        self.act()
        super().run()

    def act(self) -> None:
        if self.count < self.tasks:
            self.count += 1
            name = f"real-{self.count}"
            model = REAL_MODELS[self.count % len(REAL_MODELS)]
            self.post(model, name, key=f"key-{name}", spec=REAL_SPEC)


class Meddler(User):
    """Cancels some jobs, pauses others, and lets those go on later."""

    every_seconds = (0.5, 1.5)

    def __init__(self, shared: Shared, seed: int) -> None:
        super().__init__(shared, seed)
        self.paused: list[tuple[float, str]] = []

    def act(self) -> None:
        while self.paused and self.paused[0][0] <= time.monotonic():
            _, paused = self.paused.pop(0)
            # A job that nobody lets go on holds up all that stand behind it.
            if self._tell("resume", paused) == "info":
                self._remember(paused)
        if not self.shared.recent:
            return
        job = self.random.choice(list(self.shared.recent))
        wish = self.random.choices(("cancel", "pause"), (1, 4))[0]
        self._tell(wish, job)
        if wish == "pause":
            self._remember(job)

    def _remember(self, job: str) -> None:
        self.paused.append((time.monotonic() + self.random.uniform(0.5, 1.5), job))
        self.paused.sort()

    def _tell(self, wish: str, job: str) -> Outcome:
        key = {"Idempotency-Key": uuid.UUID(int=self.random.getrandbits(128)).hex} if self.random.random() < 0.5 else {}
        return self.caller.call(wish, "POST", f"/v1/jobs/{job}/{wish}", asked={"job": job}, headers=key).outcome


class Promoter(User):
    """Moves aliases and rolls models back."""

    every_seconds = (0.8, 2.0)

    def act(self) -> None:
        model = self.random.choice(MODELS)
        found = self.caller.get(f"/v1/models/{model}/versions", limit=20)
        if found is None or not found["data"]:
            return
        version = self.random.choice(found["data"])["name"]
        asked = {"model": model, "version": version}
        body = {"version": version, "reason": "chaos"}
        if self.random.random() < 0.6:
            self.caller.call("promote", "PUT", f"/v1/models/{model}/aliases/stable", asked=asked, json=body)
        else:
            self.caller.call("rollback", "POST", f"/v1/models/{model}/rollback", asked=asked, json=body)


class Asker(User):
    """Asks the models things."""

    every_seconds = (0.3, 0.8)

    def act(self) -> None:
        ask(self.caller, self.random.choice((*MODELS, *REAL_MODELS)))


class Reader(User):
    """Looks at every version the moment it is published: complete and verified, or torn."""

    every_seconds = (0.05, 0.2)

    def act(self) -> None:
        model = self.random.choice((*MODELS, *REAL_MODELS))
        found = self.caller.get(f"/v1/models/{model}/versions", limit=3)
        for version in (found or {}).get("data", ()):
            if version["state"] == "ready" and version["number"] > 0:
                self._verify(version)

    def _verify(self, version: dict[str, Any]) -> None:
        folder = self.shared.artefacts_dir / "versions" / PROJECT / version["model_id"] / version["manifest_sha256"]
        try:
            manifests.verify(folder, sha256=version["manifest_sha256"])
        except (StrataError, OSError) as error:
            self.shared.torn.append(f"{version['name']}: {error}")


def submit(caller: Caller, model: str, name: str, *, key: str | None, spec: dict[str, Any] | None = None) -> Answer:
    """Post one task."""
    rows = "".join(json.dumps({"prompt": f"{model} {name} {n}?", "completion": " yes"}) + "\n" for n in range(12))
    return caller.call(
        "submit",
        "POST",
        "/v1/tasks",
        asked={"model": model, "name": name, "key": key},
        data={"model": model, "name": name, "spec": json.dumps(spec or {})},
        files={"file": ("rows.jsonl", rows.encode())},
        headers={"Idempotency-Key": key} if key else {},
    )


def ask(caller: Caller, model: str) -> Answer:
    """Let a model answer."""
    body = {"model": model, "prompt": "The harbour office", "max_tokens": 3}
    return caller.call("generate", "POST", "/v1/generate", asked={"model": model}, json=body)

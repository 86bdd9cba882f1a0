"""A registry of one job, in memory, that can be away, revoke the claim, or ask for cancelling."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.domain.base_facts import BaseFacts
from core.domain.errors import ConflictError, LostLeaseError, UnavailableError
from core.domain.job_folder import Event, ScoreEvent
from core.domain.jobs import JobKind, JobState
from core.domain.manifest import Manifest
from core.domain.records import Job
from core.services.claims import BeatAnswer
from core.services.rebuild_plans import RebuildPlan
from core.services.trainer_specs import StagedTask, StagingPlan
from worker.control.context import Timings
from worker.control.desk import Claim

QUICK = Timings(lease=8, beat=0.1, sweep=0.2, poll=0.05, run=60, stall=30, grace=0.5, record=0.05, tick=0.02)
TEMPLATE = {"format": "prompt_completion"}


def job(*, kind: JobKind = JobKind.TRAIN) -> Job:
    return Job(
        id="job_1",
        project_id="prj_default",
        kind=kind,
        model_id="mdl_1",
        task_id="task_1",
        base_model_id="base_1",
        seq=1,
        state=JobState.RUNNING,
        phase=None,
        params={},
        expected_parent=None,
        parent_version_id="ver_0",
        result_version_id=None,
        retry_of=None,
        cancel_requested=False,
        pause_requested=False,
        owner="me",
        fence=1,
        lease_ms=1,
        claims=1,
        barren=0,
        checkpoint_step=None,
        step=0,
        total_steps=None,
        eta_seconds=None,
        deadline_ms=None,
        error_code=None,
        error_detail=None,
        created_ms=1,
        started_ms=1,
        finished_ms=None,
    )


@dataclass
class FakeDesk:
    behaviour: str = "ok"
    kind: JobKind = JobKind.TRAIN
    seconds_left: float | None = None
    train_sha256: str = ""
    outcome: str | None = None
    code: str | None = None
    detail: str | None = None
    reason: str | None = None
    events: list[Event] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    scores: tuple[ScoreEvent, ...] = ()
    manifest: Manifest | None = None
    artefact: str | None = None
    facts: BaseFacts | None = None
    path: str | None = None
    beats: int = 0
    sweeps: int = 0
    cancel_requested: bool = False
    pause_requested: bool = False
    cancel_wins: bool = False
    lost: bool = False
    away: int = 0
    claimable: int = 1
    settled: threading.Event = field(default_factory=threading.Event)
    answers: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answers.set()

    def _enter(self) -> None:
        assert self.answers.wait(60)
        if self.away > 0:
            self.away -= 1
            raise UnavailableError("away", code="registry_unavailable")
        if self.lost:
            raise LostLeaseError("another worker holds it")

    def _settle(self, outcome: str) -> None:
        self._enter()
        self.outcome = outcome
        self.settled.set()

    def claim(self) -> Claim | None:
        self._enter()
        if self.claimable == 0:
            return None
        self.claimable -= 1
        return Claim(job=job(kind=self.kind), fence=1, seconds_left=self.seconds_left)

    def beat(self, claim: Claim) -> BeatAnswer:
        del claim
        self._enter()
        self.beats += 1
        return BeatAnswer(cancel_requested=self.cancel_requested, pause_requested=self.pause_requested)

    def record(self, claim: Claim, events: Sequence[Event]) -> None:
        del claim
        self._enter()
        self.events += events
        self.writes.append(len(events))

    def fail(self, claim: Claim, *, code: str, detail: str) -> None:
        del claim
        self._settle("failed")
        self.code, self.detail = code, detail

    def confirm_cancelled(self, claim: Claim) -> None:
        del claim
        self._settle("cancelled")

    def confirm_paused(self, claim: Claim) -> None:
        del claim
        self._settle("paused")

    def release(self, claim: Claim) -> None:
        del claim
        self._settle("released")

    def give_up(self, claim: Claim, *, reason: str) -> None:
        del claim
        self._settle("given up")
        self.reason = reason

    def sweep(self) -> int:
        self._enter()
        self.sweeps += 1
        return 0

    def plan(self, claim: Claim) -> StagingPlan:
        del claim
        self._enter()
        task = StagedTask(
            task_id="task_1",
            name=self.behaviour,
            format="prompt_completion",
            train_sha256=self.train_sha256,
            eval_sha256=None,
            template=TEMPLATE,
            spec={},
        )
        return StagingPlan(
            base_path="/models/base",
            base_digest="b" * 64,
            chain=(),
            parent_version_id="ver_0",
            parent_digest="b" * 64,
            recipe={},
            template=TEMPLATE,
            train_sha256=self.train_sha256,
            eval_sha256=None,
            tasks=(task,),
            provenance={
                "project_id": "prj_default",
                "model_id": "mdl_1",
                "task_id": "task_1",
                "job_id": "job_1",
                "fence": 1,
                "parent_version_id": "ver_0",
            },
        )

    def rebuild_plan(self, claim: Claim) -> RebuildPlan:
        del claim
        raise AssertionError("nobody asks for a rebuild here")

    def base_source(self, claim: Claim) -> tuple[str, str]:
        del claim
        self._enter()
        return "tiny", f"folder:/models/{self.behaviour}"

    def publish(self, claim: Claim, *, manifest: Manifest, scores: Sequence[ScoreEvent], artefact: str) -> None:
        del claim
        self._enter()
        if self.cancel_wins:
            raise ConflictError("cancelling was asked for first", code="cancel_requested")
        self._settle("published")
        self.manifest, self.scores, self.artefact = manifest, tuple(scores), artefact

    def record_facts(self, claim: Claim, *, facts: BaseFacts, path: str) -> None:
        del claim
        self._settle("recorded")
        self.facts, self.path = facts, path

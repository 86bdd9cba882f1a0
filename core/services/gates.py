"""The gate, as the registry knows its case: the policy that holds, and the scores to compare."""

from collections.abc import Sequence
from dataclasses import replace

from core.domain import gate
from core.domain.gate import Evidence
from core.domain.gate_report import GateReport, Verdict
from core.domain.job_folder import ScoreEvent
from core.domain.manifest import Manifest
from core.domain.policies import GatePolicy, ModelPolicy
from core.domain.records import Job, Model, Version
from core.domain.versions import VersionState
from core.registry import measures, models, tasks
from core.registry.work import Work


def judge(work: Work, job: Job, *, parent: Version, manifest: Manifest, scores: Sequence[ScoreEvent]) -> GateReport:
    """Return what the gate says of the version that a `train` job has made on ``parent``.

    The model's policy is the one of now, not of when the task was posted: who changes it and retries is judged anew.
    """
    task_id = str(job.task_id)
    told = dict.fromkeys([*(score.task_id for score in scores if score.task_id), task_id])
    evidence = Evidence(
        task_id=task_id,
        names={each.id: each.name for each in tasks.by_id(work, [*told]).values()},
        scores=scores,
        parent=measures.scores(work, [parent.id], with_rows=True),
        delta=manifest.delta,
    )
    asked = GatePolicy.model_validate(job.params.get("gate", {}))
    return gate.judge(policy_of(models.get(work, str(job.model_id)), asked), evidence)


def policy_of(model: Model, asked: GatePolicy) -> GatePolicy:
    """Return the gate's policy of a task: the model's, where the task asks for nothing else."""
    return ModelPolicy.model_validate(model.policy).gate.overlaid(asked)


def judged(version: Version, report: GateReport) -> Version:
    """Return a version as the gate leaves it: with its report, and rejected if a rule failed."""
    state = VersionState.REJECTED if report.rejects else VersionState.READY
    return replace(version, state=state, gate=report.model_dump(mode="json"))


def report_of(version: Version) -> GateReport | None:
    """Return what the gate said of a version; None of what was never judged, such as the base."""
    return None if version.gate is None else GateReport.model_validate(version.gate)


def why(version: Version) -> str:
    """Return, in one line, why a version was rejected."""
    report = report_of(version)
    return report.why if report else ""


def verdict_of(version: Version) -> Verdict | None:
    """Return the gate's one word on a version."""
    report = report_of(version)
    return report.verdict if report else None

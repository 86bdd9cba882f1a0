"""Making a version visible, in one transaction, and taking a corrupt one out of service."""

import re
from collections.abc import Sequence
from typing import Final

from core.domain.errors import ConflictError, CorruptError, IllegalMoveError, MissingError
from core.domain.identifiers import new_id
from core.domain.job_folder import ScoreEvent
from core.domain.jobs import JobKind, JobState
from core.domain.manifest import Manifest
from core.domain.records import Job, Version
from core.domain.scores import Score
from core.domain.versions import VersionState
from core.registry import aliases, jobs, measures, models, versions
from core.registry.work import Work
from core.services import chains, endings, gates
from core.services.chains import is_ready

_DELTA_FIGURES: Final = {"format", "nnz", "density", "size_bytes", "overlaps"}
_KEY: Final = re.compile(r"versions/(?P<project>[^/]+)/(?P<model>[^/]+)/(?P<manifest>[0-9a-f]{64})\Z")
_KEY_OF_A_MODEL: Final = re.compile(r"(?:versions|exports)/[^/]+/(?P<model>[^/]+)/[0-9a-f]{64}\Z")


def publish(
    work: Work, *, job_id: str, fence: int, manifest: Manifest, scores: Sequence[ScoreEvent], artefact: str
) -> Version:
    """Make a finished `train` or `rebuild` job's version visible: the job, version, chain, scores and alias move together or not.

    ``artefact`` is the key under which the folder already lies, ``versions/<project>/<model>/<manifest sha256>``.
    The gate decides here: a version that fails it is rejected with its report, and so ends its job.
    `latest` follows only if it still names the job's parent: a rollback made meanwhile stands. It stays where it is for
    a rebuilt version that shall be kept aside.

    Raises:
        LostLeaseError: another worker holds the job now.
        ConflictError: ``cancel_requested``, or ``parent_conflict``: the parent is no longer ready.
        CorruptError: the manifest or the key is another job's.
    """
    job = jobs.held(work, job_id=job_id, fence=fence)
    if job.cancel_requested:
        raise ConflictError("the job shall be cancelled", code="cancel_requested")
    number = models.next_number(work, str(job.model_id))
    parent = _require_parent(work, job)
    kept = chains.without(work, parent, left_out=left_out_by(job))
    _require_own(work, job, kept=kept, manifest=manifest)
    made = _version(job, kept, number=number, manifest=manifest, artefact=artefact)
    if job.kind is JobKind.TRAIN:
        # Who leaves tasks out means them to be lost: a rebuilt version is not judged.
        made = gates.judged(made, gates.judge(work, job, parent=parent, manifest=manifest, scores=scores))
    actor = job.owner or "worker"
    version = versions.add(work, made, actor=actor)
    _store_scores(work, version, scores)
    if version.state is VersionState.REJECTED:
        endings.reject(work, job, version, actor=actor, why=gates.why(version))
        return version
    outcome = {"version_id": version.id, "number": number}
    jobs.move(work, job, to=JobState.SUCCEEDED, actor=actor, changes={"result_version_id": version.id}, data=outcome)
    head = aliases.find(work, model_id=version.model_id, name="latest")
    if head is not None and head.version_id == parent.id and job.params.get("promote", True):
        aliases.point(work, name="latest", at=version, actor=actor, reason="published")
    return version


def left_out_by(job: Job) -> tuple[str, ...]:
    """Return the ids of the tasks that a `rebuild` job leaves out; of any other job, none."""
    return tuple(job.params.get("left_out", ()))


def model_of(artefact: str) -> str | None:
    """Return the id of the model whose version or export an artefact's key is made for; None for a key of another kind."""
    key = _KEY_OF_A_MODEL.match(artefact)
    return key["model"] if key else None


def mark_corrupt(work: Work, *, version_id: str, reason: str) -> Version:
    """Take a version that failed verification out of service: its aliases return to the last ready ancestor.

    Marking it again changes nothing.

    Raises:
        MissingError: ``version_not_found``.
        IllegalMoveError: it is deleted or rejected, or it is ``model@0``, which has no ancestor.
    """
    version = versions.find(work, version_id)
    if version is None:
        raise MissingError("there is no such version", code="version_not_found")
    models.lock(work, version.model_id)
    version = versions.get(work, version_id)
    if version.state is VersionState.CORRUPT:
        return version
    if version.number == 0:
        raise IllegalMoveError(subject="base version", state=version.state, to=VersionState.CORRUPT)
    marked = versions.move(work, version, to=VersionState.CORRUPT, actor="engine", reason=reason)
    for alias in aliases.of_model(work, version.model_id):
        if alias.version_id == version.id:
            safe = _ready_ancestor(work, version)
            aliases.point(work, name=alias.name, at=safe, actor="engine", reason=f"corrupt: {reason}")
    return marked


def _ready_ancestor(work: Work, version: Version) -> Version:
    """Return the nearest ancestor that can answer and knows no task that was left out; ``model@0`` always can."""
    known = set(version.chain)
    while version.parent_id is not None:
        version = versions.get(work, version.parent_id)
        if known.issuperset(version.chain) and is_ready(work, version):
            break
    return version


def _require_parent(work: Work, job: Job) -> Version:
    parent = versions.get(work, str(job.parent_version_id))
    if not is_ready(work, parent):
        raise ConflictError("the parent version is no longer ready", code="parent_conflict")
    return parent


def _require_own(work: Work, job: Job, *, kept: Sequence[str], manifest: Manifest) -> None:
    """Refuse the artefact of another job, claim or chain: files may be mixed up, rows must not be."""
    claimed = (job.project_id, job.model_id, job.task_id, job.id, job.fence, job.parent_version_id, left_out_by(job))
    told = manifest.provenance
    of_job = (told.project_id, told.model_id, told.task_id, told.job_id, told.fence)
    named = (*of_job, told.parent_version_id, told.left_out)
    chain = tuple(link.manifest_sha256 for link in chains.artefacts(work, kept))
    if named != claimed or manifest.chain != chain:
        raise CorruptError("the manifest is not this job's")


def _version(job: Job, kept: Sequence[str], *, number: int, manifest: Manifest, artefact: str) -> Version:
    key = _KEY.match(artefact)
    if key is None or (key["project"], key["model"]) != (job.project_id, job.model_id):
        raise CorruptError("the artefact's key is not this model's")
    version_id = new_id("ver")
    return Version(
        id=version_id,
        project_id=job.project_id,
        model_id=str(job.model_id),
        number=number,
        parent_id=job.parent_version_id,
        task_id=job.task_id,
        job_id=job.id,
        fence=job.fence,
        state=VersionState.READY,
        chain=(*kept, version_id),
        manifest_sha256=key["manifest"],
        artefact=artefact,
        digest=manifest.digest,
        delta=manifest.delta.model_dump(mode="json", include=_DELTA_FIGURES, exclude_none=True),
        created_ms=0,
    )


def _store_scores(work: Work, version: Version, scores: Sequence[ScoreEvent]) -> None:
    """Store the scores of the version, and those of the base with ``model@0``."""
    zero = versions.find_number(work, model_id=version.model_id, number=0)
    subjects = {"result": version.id, "base": zero.id if zero else version.id}
    measures.record_scores(
        work,
        project_id=version.project_id,
        scores=[
            Score(version_id=subjects[score.subject], **score.model_dump(exclude={"event", "subject"}))
            for score in scores
        ],
    )

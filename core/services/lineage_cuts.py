"""The lineage of one version: a whole model's document, without what that version does not stand on."""

from collections.abc import Iterator
from typing import Final

from core.domain.lineage import AliasEntry, EventEntry, Lineage, MoveEntry, VersionEntry
from core.domain.versions import VersionState

_BY: Final = "export"
_LATEST: Final = "latest"
_STATE: Final = "state"


def up_to(lineage: Lineage, *, version_id: str) -> Lineage:
    """Return the document of a model whose `latest` is a version of ``lineage``, and which has no later ones.

    What the version was made from but does not hold, since it was left out, stays by name only: as deleted, without
    files and scores.
    """
    by_id = {entry.id: entry for entry in lineage.versions}
    ancestry = set(_ancestry(by_id, version_id))
    held = {version_id, *by_id[version_id].chain, lineage.versions[0].id}
    versions = tuple(_entry(by_id[known], held) for known in by_id if known in ancestry)
    tasks = tuple(each for each in lineage.tasks if each.id in {entry.task_id for entry in versions})
    jobs = tuple(each for each in lineage.jobs if each.id in {entry.job_id for entry in versions})
    files = {name for task in tasks for name in (task.dataset_id, task.eval_dataset_id)}
    learned = {entry.task_id for entry in versions if entry.id in held}
    move = MoveEntry(
        n=1,
        from_version_id=None,
        to_version_id=version_id,
        actor=_BY,
        reason="exported",
        at_ms=lineage.exported_ms,
    )
    subjects = ancestry | {job.id for job in jobs}
    kept = [event for event in lineage.events if event.subject_id in subjects]
    return Lineage(
        exported_ms=lineage.exported_ms,
        base=lineage.base,
        model=lineage.model,
        datasets=tuple(each for each in lineage.datasets if each.id in files),
        tasks=tasks,
        jobs=jobs,
        versions=versions,
        aliases=(AliasEntry(name=_LATEST, moves=(move,)),),
        scores=tuple(each for each in lineage.scores if each.version_id in held and each.task_id in learned),
        general_scores=tuple(each for each in lineage.general_scores if each.version_id in held),
        events=(*kept, *_farewells(lineage, [by_id[known] for known in sorted(ancestry - held)])),
    )


def _ancestry(by_id: dict[str, VersionEntry], version_id: str) -> Iterator[str]:
    known: str | None = version_id
    while known is not None:
        yield known
        known = by_id[known].parent_id


def _entry(entry: VersionEntry, held: set[str]) -> VersionEntry:
    return entry if entry.id in held else entry.model_copy(update={"state": VersionState.DELETED})


def _farewells(lineage: Lineage, gone: list[VersionEntry]) -> Iterator[EventEntry]:
    """Yield the events by which what is not held ends: replaying a history gives the states."""
    for entry in gone:
        if entry.state is VersionState.DELETED:
            continue
        yield EventEntry(
            subject_id=entry.id,
            n=1 + max((event.n for event in lineage.events if event.subject_id == entry.id), default=0),
            at_ms=lineage.exported_ms,
            kind=_STATE,
            from_state=entry.state,
            to_state=VersionState.DELETED,
            fence=None,
            actor=_BY,
            data={"reason": "the exported version does not hold it"},
        )

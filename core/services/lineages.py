"""Whole models leave one registry and enter another: `describe` writes the document, `install` makes rows of it.

The files travel beside it (`core.storage.lineages`), and are there before `install`, as versions are published.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from core.domain.errors import ConflictError, MissingError
from core.domain.identifiers import new_id
from core.domain.lineage import (
    AliasEntry,
    BaseEntry,
    DatasetEntry,
    EventEntry,
    GeneralScoreEntry,
    JobEntry,
    Lineage,
    ModelEntry,
    MoveEntry,
    ScoreEntry,
    TaskEntry,
    VersionEntry,
)
from core.domain.policies import ModelPolicy
from core.domain.records import BaseModel, Model, Task, Version
from core.registry import aliases, base_models, datasets, events, lineages, measures, models, tasks, versions
from core.registry.work import Work
from core.services.naming import require_model, require_name


def describe(work: Work, *, project_id: str, model: str) -> Lineage:
    """Return everything that a model's versions stand on, with its aliases, scores and history.

    Raises:
        MissingError: ``model_not_found``.
    """
    found = require_model(work, project_id=project_id, reference=model)
    everything = versions.of_model(work, found.id)
    learned = tasks.by_id(work, {version.task_id for version in everything if version.task_id})
    left_by = lineages.published_jobs(work, found.id)
    subjects = [found.id, *(version.id for version in everything), *(job.id for job in left_by)]
    return Lineage(
        exported_ms=work.now_ms(),
        base=BaseEntry.model_validate(base_models.get(work, found.base_model_id)),
        model=_model(work, found),
        datasets=tuple(DatasetEntry.model_validate(datasets.get(work, name)) for name in _files(learned)),
        tasks=tuple(TaskEntry.model_validate(learned[task_id]) for task_id in sorted(learned)),
        jobs=tuple(JobEntry.model_validate(job) for job in left_by),
        versions=tuple(VersionEntry.model_validate(version) for version in everything),
        aliases=_aliases(work, found),
        scores=_scores(work, everything, of_tasks=learned),
        general_scores=_general_scores(work, everything),
        events=tuple(EventEntry.model_validate(event) for event in lineages.events_of(work, subjects)),
    )


def require_consent(lineage: Lineage) -> None:
    """Check that rows of task files may leave together with the model.

    Raises:
        ConflictError: the model's policy keeps them out of what is made of it.
    """
    if not ModelPolicy.model_validate(lineage.model.policy).store_rows:
        raise ConflictError(
            "the model's policy does not let rows be stored with it: export it without, and upload the files to the "
            "importing project first, where they are found by their hash"
        )


def require_room(work: Work, lineage: Lineage, *, project_id: str, name: str) -> BaseModel:
    """Return the base model on which the lineage can stand here, under a name that is free.

    Raises:
        InvalidError: ``invalid_name``.
        ConflictError: ``name_taken``.
        MissingError: ``base_model_not_found``: none that is ready has the digest.
    """
    require_name(name)
    if models.find(work, project_id=project_id, reference=name):
        raise ConflictError("a model has this name", code="name_taken")
    base = base_models.find_digest(work, lineage.base.digest)
    if base is None:
        known = f"{lineage.base.name!r} from {lineage.base.source!r}, digest {lineage.base.digest}"
        raise MissingError(f"the model's base is not among those ready here: {known}", code="base_model_not_found")
    return base


def install(
    work: Work, lineage: Lineage, *, project_id: str, model_id: str, name: str, dataset_ids: Mapping[str, str]
) -> Model:
    """Make rows of a document whose files are in place, under new ids; numbers, chains and digests stay as they are.

    Args:
        work: the one transaction in which it is done.
        lineage: what was exported.
        project_id: whose model it becomes.
        model_id: the new model's, which the artefacts' keys hold already.
        name: the new model's.
        dataset_ids: the new ids of datasets, by their sha256, whose files came along.

    Raises:
        As `require_room`.
    """
    base = require_room(work, lineage, project_id=project_id, name=name)
    ids = {known: new_id(known.partition("_")[0]) for known in _own_ids(lineage)} | {lineage.model.id: model_id}
    for entry in lineage.datasets:
        ids[entry.id] = dataset_ids.get(entry.sha256) or _dataset_here(work, entry, project_id=project_id)
    anew = _translated(lineage, ids, name=name)
    lineages.restore(work, anew, project_id=project_id, base_model_id=base.id)
    events.append(
        work,
        subject_id=model_id,
        project_id=project_id,
        kind="imported",
        actor=work.actor,
        data={"model_id": lineage.model.id, "name": lineage.model.name, "exported_ms": lineage.exported_ms},
    )
    return models.get(work, model_id)


def _own_ids(lineage: Lineage) -> Iterator[str]:
    """Yield the ids of what is the model's own, in the order in which it was made."""
    yield from (entry.id for entry in lineage.versions)
    yield from (entry.id for entry in lineage.tasks)
    yield from (entry.id for entry in lineage.jobs)


def _model(work: Work, found: Model) -> ModelEntry:
    own = {name: getattr(found, name) for name in ModelEntry.model_fields if hasattr(found, name)}
    return ModelEntry.model_validate(own | lineages.counters(work, found.id))


def _files(learned: Mapping[str, Task]) -> list[str]:
    named = {name for task in learned.values() for name in (task.dataset_id, task.eval_dataset_id)}
    return sorted(name for name in named if name)


def _aliases(work: Work, model: Model) -> tuple[AliasEntry, ...]:
    named = [alias.name for alias in aliases.of_model(work, model.id)]
    moves = {name: aliases.history(work, model_id=model.id, name=name) for name in named}
    return tuple(
        AliasEntry(name=name, moves=tuple(MoveEntry.model_validate(move) for move in moves[name])) for name in named
    )


def _scores(work: Work, everything: tuple[Version, ...], *, of_tasks: Mapping[str, Task]) -> tuple[ScoreEntry, ...]:
    found = measures.scores(work, [version.id for version in everything], with_rows=True)
    return tuple(ScoreEntry.model_validate(score) for score in found if score.task_id in of_tasks)


def _general_scores(work: Work, everything: tuple[Version, ...]) -> tuple[GeneralScoreEntry, ...]:
    found = measures.general_scores(work, [version.id for version in everything], with_rows=True)
    return tuple(GeneralScoreEntry.model_validate(score) for score in found)


def _dataset_here(work: Work, entry: DatasetEntry, *, project_id: str) -> str:
    """Return the project's own dataset of this content, or else a deleted one: known, and not here."""
    found = datasets.find_content(work, project_id=project_id, sha256=entry.sha256)
    if found is not None:
        return found.id
    values = entry.model_dump(exclude={"id"}) | {"project_id": project_id, "deleted_ms": work.now_ms()}
    return datasets.add(work, dataset_id=new_id("data"), **values).id


def _translated(lineage: Lineage, ids: Mapping[str, str], *, name: str) -> Lineage:
    """Return the document with every id replaced, wherever it stands."""

    def translate(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: translate(each) for key, each in value.items()}
        if isinstance(value, list):
            return [translate(each) for each in value]
        return ids.get(value, value) if isinstance(value, str) else value

    document = translate(lineage.model_dump(mode="json"))
    document["model"]["name"] = name
    return Lineage.model_validate(document)

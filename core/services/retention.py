"""What may be removed from the disks: what no living row refers to.

The ``may_remove_…`` verbs hold what would have to change for the answer to change; remove within the same work.
"""

from collections.abc import Collection
from enum import StrEnum

from core.domain.jobs import OPEN
from core.registry import datasets, exports, jobs, models, versions
from core.registry.work import Work
from core.services.publication import model_of


class JobFolderUse(StrEnum):
    """What of a job's folder is still of use: all of it, its log and events, or nothing."""

    ALL = "all"
    RECORDS = "records"
    NOTHING = "nothing"


def unnamed_artefacts(work: Work, keys: Collection[str]) -> set[str]:
    """Return those keys that no version of a living model needs, itself or in its chain, and that no export has."""
    return set(keys) - _needed(work)


def unnamed_contents(work: Work, hashes: Collection[str]) -> set[str]:
    """Return those contents that no living dataset has."""
    return set(hashes) - datasets.living_contents(work)


def may_remove_artefact(work: Work, key: str) -> bool:
    """Return whether an artefact is nobody's, and cannot become anybody's.

    Only a running job publishes, and only what its own claim left: with no job of the model running, and none claimed
    before this work ends, the folder of an earlier claim stays without a version for ever.
    """
    model_id = model_of(key)
    if model_id is None or not models.lock_if_there(work, model_id):
        return True
    return not jobs.any_running(work, model_id=model_id) and key not in _needed(work)


def may_remove_content(work: Work, sha256: str) -> bool:
    """Return whether no living dataset has the content; none can be registered before this work ends."""
    datasets.lock_content(work, sha256)
    return datasets.content_users(work, sha256) == 0


def uses_of_job_folders(work: Work, job_ids: Collection[str]) -> dict[str, JobFolderUse]:
    """Return what of each job's folder is still of use: an open job needs its checkpoints, a user the log."""
    found = jobs.states_by_id(work, job_ids)
    living = models.all_living(work)

    def use(job_id: str) -> JobFolderUse:
        if job_id not in found:
            return JobFolderUse.NOTHING
        state, model_id = found[job_id]
        if state in OPEN:
            return JobFolderUse.ALL
        return JobFolderUse.RECORDS if model_id is None or model_id in living else JobFolderUse.NOTHING

    return {job_id: use(job_id) for job_id in job_ids}


def _needed(work: Work) -> set[str]:
    return versions.needed_artefacts(work) | exports.needed_artefacts(work)

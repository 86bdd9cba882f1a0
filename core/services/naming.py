"""Names that people give, and references by them."""

import re
from typing import Final

from core.domain.errors import InvalidError, MissingError, Place
from core.domain.identifiers import require_slug
from core.domain.records import Job, Model
from core.registry import jobs, models
from core.registry.work import Work

# A name that looks like an id would make a reference mean two things.
_ID_LIKE: Final = re.compile(r"(?:prj|base|mdl|data|task|job|ver|exp)_")


def require_name(name: str, *, loc: tuple[str | int, ...] = ("name",)) -> str:
    """Return ``name`` if it is a slug that cannot be mistaken for an id.

    Raises:
        InvalidError: ``invalid_name``.
    """
    require_slug(name, loc=loc)
    if _ID_LIKE.match(name):
        places = [Place(loc=loc, message="must not begin like an id, such as 'mdl_' or 'task_'")]
        raise InvalidError("not a valid name", code="invalid_name", places=places)
    return name


def require_model(work: Work, *, project_id: str, reference: str) -> Model:
    """Return the project's model of a name or id.

    Raises:
        MissingError: ``model_not_found``.
    """
    found = models.find(work, project_id=project_id, reference=reference)
    if found is None:
        place = Place(loc=("model",), message="there is no such model", hint="GET /v1/models lists the models")
        raise MissingError(place.message, code="model_not_found", places=[place])
    return found


def require_job(work: Work, *, project_id: str, job_id: str, lock: bool = False) -> Job:
    """Return a job; with ``lock`` it cannot change until the work ends.

    Raises:
        MissingError: ``job_not_found``.
    """
    job = jobs.find(work, project_id=project_id, job_id=job_id, lock=lock)
    if job is None:
        raise MissingError("there is no such job", code="job_not_found")
    return job

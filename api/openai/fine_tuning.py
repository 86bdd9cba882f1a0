"""`POST /v1/fine_tuning/jobs`: what OpenAI's clients ask for, and what that is here: a task of a model."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from api.openai.parameters import Metadata, NoItems, Nothing, OrAuto
from api.openai.sampling import refused
from api.schemas.base import Request
from api.schemas.models import Slug
from core.domain.errors import InvalidError, Place, StrataError
from core.learning.recipe import TaskSpec
from core.services.fine_tuning import FineTuning

# What is no id of ours names no file of ours, and is answered so.
FileId = Annotated[str, Field(min_length=1, max_length=64)]
# Where the service's own words for a part of a task stand in OpenAI's request.
_PLACES: Final[Mapping[str | int, tuple[str, ...]]] = {
    "dataset_id": ("training_file",),
    "eval_dataset_id": ("validation_file",),
    "base_model": ("model",),
    "expected_parent": ("model",),
    "spec": ("strata", "spec"),
}


class Hyperparameters(Request):
    """How long, in which batches and how fast is learned; `auto`, or nothing, is the method's own."""

    n_epochs: Annotated[int | None, Field(ge=1, le=1_000), OrAuto()] = None
    batch_size: Annotated[int | None, Field(ge=1, le=1_024), OrAuto()] = None
    learning_rate_multiplier: Annotated[float | None, Field(gt=0, le=1_000), OrAuto()] = None


class SupervisedSettings(Request):
    """Settings of learning from examples."""

    hyperparameters: Hyperparameters | None = None


class FineTuningMethod(Request):
    """How is learned: from examples."""

    type: Literal["supervised"]
    supervised: SupervisedSettings | None = None
    dpo: Nothing = None
    reinforcement: Nothing = None


class StrataFields(Request):
    """What OpenAI has no words for."""

    task: Slug | None = Field(
        default=None, description="The task's name, by which it may be asked; unique in its model."
    )
    spec: TaskSpec = Field(default=TaskSpec(), description="As of POST /v1/tasks.")


class FineTuningJobRequest(Request):
    """Let a model learn a file."""

    model: str = Field(
        min_length=1,
        max_length=200,
        description="A model, which learns one task more; a version of one, which must then be its `latest`; or a base "
        "model, of which a new model is made.",
    )
    training_file: FileId
    validation_file: FileId | None = Field(
        default=None, description="Rows to score on; without any, a tenth of the rows is held out."
    )
    suffix: Slug | None = Field(
        default=None, description="Name of the new model; of a model that is there already, the task's."
    )
    seed: int | None = Field(default=None, ge=0, le=2**32 - 1)
    method: FineTuningMethod | None = None
    hyperparameters: Hyperparameters | None = Field(default=None, description="The older place of the method's own.")
    metadata: Metadata | None = Field(default=None, description="Kept with the job.")
    integrations: NoItems = None
    strata: StrataFields | None = Field(default=None, description="Not OpenAI's.")


def asked(body: FineTuningJobRequest) -> FineTuning:
    """Return what is asked of the service.

    Raises:
        InvalidError: something is said in two places.
    """
    chosen = _hyperparameters(body)
    ours = body.strata or StrataFields()
    return FineTuning(
        model=body.model,
        dataset_id=body.training_file,
        eval_dataset_id=body.validation_file,
        spec=_spec(ours.spec, chosen, seed=body.seed),
        suffix=body.suffix,
        task=ours.task,
        learning_rate_multiplier=chosen.learning_rate_multiplier,
        metadata=body.metadata or {},
    )


@contextmanager
def in_openai_words(body: FineTuningJobRequest) -> Iterator[None]:
    """Let the places of errors be those of the request as it was sent."""
    name = ("strata", "task") if body.strata and body.strata.task and not body.suffix else ("suffix",)
    try:
        yield
    except StrataError as error:
        error.places = tuple(_renamed(place, {**_PLACES, "name": name}) for place in error.places)
        raise


def _hyperparameters(body: FineTuningJobRequest) -> Hyperparameters:
    newer = body.method and body.method.supervised and body.method.supervised.hyperparameters
    if newer and body.hyperparameters:
        raise refused("hyperparameters", "and those of the method are the same: give one of them")
    return newer or body.hyperparameters or Hyperparameters()


def _spec(spec: TaskSpec, chosen: Hyperparameters, *, seed: int | None) -> TaskSpec:
    given = spec.model_dump(mode="json", exclude_unset=True)
    training: dict[str, Any] = given.get("training", {})
    named = {"epochs": chosen.n_epochs, "batch_size": chosen.batch_size, "seed": seed}
    said = {name: value for name, value in named.items() if value is not None}
    if twice := sorted(training.keys() & said.keys()):
        message = "is given twice: here and by OpenAI's own field"
        places = [Place(loc=("strata", "spec", "training", name), message=message) for name in twice]
        raise InvalidError("the request says one thing in two places", places=places)
    return TaskSpec.model_validate({**given, "training": {**training, **said}})


def _renamed(place: Place, places: Mapping[str | int, tuple[str, ...]]) -> Place:
    first = places.get(place.loc[0], place.loc[:1]) if place.loc else ()
    return replace(place, loc=(*first, *place.loc[1:]))

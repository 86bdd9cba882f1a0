"""What a task will take: rules of thumb until jobs like it have been measured, and each figure says what it rests on."""

from dataclasses import dataclass
from typing import Final

from core.domain.base_facts import BaseFacts
from core.domain.errors import InvalidError, Place
from core.domain.records import Dataset, Job, Task
from core.learning.recipe import Recipe
from core.registry import base_models, datasets, jobs, models, places, tasks, versions
from core.registry.jobs import FinishedJob
from core.registry.work import Work

BYTES_A_TOKEN: Final = 4
# Forward and backward pass of one token: two floating-point operations a parameter, thrice (Kaplan et al. 2020, 2.1).
FLOPS_A_PARAMETER: Final = 6
ASSUMED_FLOPS: Final = 2e10
FLOAT_BYTES: Final = 4
# An index and a value.
SPARSE_BYTES: Final = 8
# Activations that a transformer block keeps for its backward pass, in hidden sizes a token (Korthikanti et al. 2022).
KEPT_ACTIVATIONS: Final = 34
# Master copy, gradient of the update, and the weights that are put back.
ADAPTED_COPIES: Final = 3
# A factor of a low-rank update, its gradient and AdamW's two moments.
FACTOR_COPIES: Final = 4
# Logits, their softmax and its gradient.
LOGIT_COPIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """An estimate and what it rests on; None where nothing can be said."""

    value: float | None
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one job will take. Tokens and steps are those of training; seconds are of the whole job."""

    tokens: Figure
    steps: Figure
    seconds: Figure
    peak_memory_bytes: Figure
    disk_bytes: Figure
    queue_wait_seconds: Figure


@dataclass(frozen=True, slots=True)
class _Load:
    """What is learned: how many rows of how many tokens, in how many steps."""

    row_tokens: float
    rows_per_step: int
    steps: int

    @property
    def tokens(self) -> float:
        return self.steps * self.rows_per_step * self.row_tokens


def estimate(work: Work, job: Job) -> Estimate:
    """Return what a queued `train` job will take."""
    task = tasks.get(work, str(job.task_id))
    recipe = Recipe.model_validate(job.params["recipe"])
    base = base_models.get(work, models.get(work, task.model_id).base_model_id)
    facts = BaseFacts.model_validate(base.facts)
    data = datasets.get(work, task.dataset_id)
    load = _load(data, task, recipe)
    past = jobs.finished_on_base(work, project_id=job.project_id, base_model_id=base.id)
    seconds = _seconds(work, load, facts, past)
    return Estimate(
        tokens=Figure(value=load.tokens, basis=f"{BYTES_A_TOKEN} bytes of the file a token, cut to the spec's limits"),
        steps=Figure(value=load.steps, basis="rows of the file and the spec's training settings"),
        seconds=seconds,
        peak_memory_bytes=_peak_memory(load, facts, recipe),
        disk_bytes=_disk(work, job, data, _adapted(facts, recipe)),
        queue_wait_seconds=_queue_wait(work, job, past, own=seconds),
    )


def room(work: Work, job: Job) -> tuple[Figure, Figure]:
    """Return how many bytes of memory and of disk a `train` job will take: what its worker must know before it starts."""
    task = tasks.get(work, str(job.task_id))
    recipe = Recipe.model_validate(job.params["recipe"])
    facts = BaseFacts.model_validate(base_models.get(work, models.get(work, task.model_id).base_model_id).facts)
    data = datasets.get(work, task.dataset_id)
    memory = _peak_memory(_load(data, task, recipe), facts, recipe)
    return memory, _disk(work, job, data, _adapted(facts, recipe))


def require_memory(task: Task, data: Dataset, *, recipe: Recipe, facts: BaseFacts, limit_bytes: float) -> None:
    """Check that learning a task from its ``data`` is not estimated to need more memory than there is.

    Raises:
        InvalidError: it is.
    """
    needed = _peak_memory(_load(data, task, recipe), facts, recipe).value or 0
    if needed > limit_bytes:
        message = f"is estimated to need {needed:.2g} bytes of memory, over the limit of {limit_bytes} bytes"
        hint = "lower the rank, the batch size or the token limits, or adapt fewer modules"
        raise InvalidError("the task needs too much memory", places=[Place(loc=("spec",), message=message, hint=hint)])


def scoring_memory_bytes(facts: BaseFacts, recipe: Recipe) -> float:
    """Return about what weights and the copies of the adapted ones take, for a job that folds and scores only."""
    return FLOAT_BYTES * (facts.parameters + ADAPTED_COPIES * _adapted(facts, recipe))


def _load(data: Dataset, task: Task, recipe: Recipe) -> _Load:
    training = recipe.training
    rows = data.n_rows if task.eval_dataset_id else max(1, round(data.n_rows * 0.9))
    shown = len(str(task.template.get("question") or "")) + sum(map(len, task.template.get("options") or ()))
    row_tokens = (data.size_bytes / data.n_rows + shown) / BYTES_A_TOKEN
    row_tokens = max(1.0, min(row_tokens, training.max_source_tokens + training.max_target_tokens))
    return _Load(row_tokens, min(training.rows_per_step(), rows), training.steps(rows))


def _seconds(work: Work, load: _Load, facts: BaseFacts, past: tuple[FinishedJob, ...]) -> Figure:
    if past:
        rate = sum(job.seconds for job in past) / _tokens_of(work, past)
        basis = f"{rate:.2g} s a token, measured on the last {len(past)} jobs of this base model"
        return Figure(value=rate * load.tokens, basis=basis)
    value = FLOPS_A_PARAMETER * facts.parameters * load.tokens / ASSUMED_FLOPS
    return Figure(value=value, basis=f"rule of thumb: 6 operations a parameter and token, {ASSUMED_FLOPS:.0e} a second")


def _tokens_of(work: Work, past: tuple[FinishedJob, ...]) -> float:
    """Return how many tokens the jobs learned."""
    known = tasks.by_id(work, {job.task_id for job in past})
    files = datasets.by_id(work, {task.dataset_id for task in known.values()})
    learned = [(files[known[job.task_id].dataset_id], known[job.task_id], job.params["recipe"]) for job in past]
    return sum(_load(data, task, Recipe.model_validate(recipe)).tokens for data, task, recipe in learned)


def _adapted(facts: BaseFacts, recipe: Recipe) -> int:
    """Return how many weights the method may change."""
    return sum(rows * columns for rows, columns in _adapted_shapes(facts, recipe))


def _factors(facts: BaseFacts, recipe: Recipe) -> int:
    """Return how many entries the factors of a low-rank update have; 0 for another one."""
    rank = recipe.adapter.settings.get("rank")
    sides = sum(rows + columns for rows, columns in _adapted_shapes(facts, recipe))
    return rank * sides if isinstance(rank, int) else 0


def _adapted_shapes(facts: BaseFacts, recipe: Recipe) -> list[tuple[int, int]]:
    targets = recipe.adapter.settings.get("target_modules")
    suffixes = tuple(map(str, targets)) if isinstance(targets, list | tuple) else facts.default_targets
    return [shape for name, shape in facts.modules.items() if name.endswith(suffixes)]


def _peak_memory(load: _Load, facts: BaseFacts, recipe: Recipe) -> Figure:
    batch_tokens = load.row_tokens * min(recipe.training.batch_size, load.rows_per_step)
    hidden = max((min(shape) for shape in facts.modules.values()), default=0)
    blocks = len(set(facts.blocks.values()))
    kept = 1 if recipe.training.gradient_checkpointing else KEPT_ACTIVATIONS
    activations = batch_tokens * (kept * hidden * blocks + LOGIT_COPIES * facts.vocabulary)
    weights = facts.parameters + ADAPTED_COPIES * _adapted(facts, recipe) + FACTOR_COPIES * _factors(facts, recipe)
    basis = (
        "rule of thumb: weights, copies of the adapted ones, factors and their moments, activations and logits of one "
        "micro-batch, in fp32"
    )
    return Figure(value=FLOAT_BYTES * (weights + activations), basis=basis)


def _disk(work: Work, job: Job, data: Dataset, adapted: int) -> Figure:
    n_deltas, largest = versions.delta_sizes(work, str(job.model_id))
    if n_deltas:
        basis = f"the largest of the model's {n_deltas} deltas, and thrice the file while the job runs"
        return Figure(value=largest + 3 * data.size_bytes, basis=basis)
    basis = "at most an index and a value for each adapted weight, and thrice the file while the job runs"
    return Figure(value=SPARSE_BYTES * adapted + 3 * data.size_bytes, basis=basis)


def _queue_wait(work: Work, job: Job, past: tuple[FinishedJob, ...], *, own: Figure) -> Figure:
    """Estimate from the project's own jobs: what others have to do is not told."""
    ahead = places.ahead(work, [job.id]).get(job.id, 0) + jobs.count_running(work, project_id=job.project_id)
    if not ahead:
        return Figure(value=0.0, basis="no job of the project is ahead")
    usual = sum(each.seconds for each in past) / len(past) if past else own.value
    what = "as long as the last ones took" if past else "as long as this one"
    return Figure(
        value=None if usual is None else ahead * usual,
        basis=f"{ahead} jobs of the project are ahead, each {what}, in turn",
    )

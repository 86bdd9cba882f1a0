"""The life of one task in a trainer: rebuild the parent, learn, merge, score the whole lineage, publish.

preparing    load the base; score it on the new task; fold the parent's chain in, and check its digest
training     learn the task on the parent's weights
evaluating   fold the new delta in; score every task of the lineage
publishing   write the artefact, manifest last
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import torch
from accelerate import Accelerator
from torch import Tensor

from core.domain.errors import CorruptError
from core.domain.job_folder import Event, JobFolder, PhaseEvent, ProgressEvent, ScoreEvent
from core.domain.jobs import Phase
from core.domain.manifest import DELTA_FILE, OverlapSummary
from core.domain.metrics import OPTION_LIKELIHOOD
from core.domain.trainer_spec import TrainerSpec
from core.learning import rows
from core.learning.acceleration import accelerator_for, require_dense
from core.learning.checkpoints import Checkpoints
from core.learning.examiner import Examiner
from core.learning.lesson import Lesson, Survival, Watch
from core.learning.publishing import Outcome, memory_file, publish
from core.learning.recipe import Recipe
from core.learning.trainer import CHECKPOINT_SECONDS, CancelledError, Report
from core.storage import manifests
from core.weights import base, fold, norms, tensor_files
from core.weights.base import LoadedBase
from core.weights.delta import Delta
from core.weights.overlap import overlap

_BASE_SCORES: Final = "base_scores"


@dataclass(slots=True, kw_only=True)
class TaskRun:
    """One `train` job on the base model that it loads."""

    spec: TrainerSpec
    folder: JobFolder
    report: Report
    stopping: Callable[[], bool]
    recipe: Recipe
    base: LoadedBase
    accelerator: Accelerator
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    _scores: list[ScoreEvent] = field(default_factory=list)
    _last_progress: ProgressEvent | None = None

    @classmethod
    def open(cls, spec: TrainerSpec, folder: JobFolder, *, report: Report, stopping: Callable[[], bool]) -> Self:
        """Seed, choose the device and load the base model.

        Raises:
            CorruptError: the base model's tensors are not those of the spec.
            InvalidError: the precision, the base or the environment is none that a task can be learned with.
            pydantic.ValidationError: the spec's recipe is none.
        """
        recipe = Recipe.model_validate(spec.recipe)
        report(PhaseEvent(phase=Phase.PREPARING))
        torch.set_num_threads(spec.threads)
        accelerator = accelerator_for(recipe.training.precision, cpu=spec.device == "cpu")
        require_dense(Path(spec.base.path))
        loaded = base.load(Path(spec.base.path), dtype=torch.float32, expected_digest=spec.base.digest)
        loaded.model.to(accelerator.device)
        return cls(
            spec=spec,
            folder=folder,
            report=report,
            stopping=stopping,
            recipe=recipe,
            base=loaded,
            accelerator=accelerator,
        )

    def run(self) -> str | None:
        """Carry the task to its end and return the SHA-256 of the new version's manifest.

        Of several processes the first one alone evaluates and publishes; the others return None.

        Raises:
            CancelledError: `stopping` said so.
            CorruptError: the parent's weights are not those of the spec.
            DivergedError: the loss is no longer a number.
        """
        checkpoints = Checkpoints(self.folder.checkpoints, self._fingerprint())
        notes = checkpoints.notes() or {_BASE_SCORES: self._score_base() if self.accelerator.is_main_process else []}
        self._adopt(notes[_BASE_SCORES])
        chain = self._chain()
        pristine = self._become_parent(chain)
        self.report(PhaseEvent(phase=Phase.TRAINING))
        lesson = self._lesson(chain, pristine)
        survival = Survival(checkpoints=checkpoints, notes=notes, checkpoint_seconds=self.checkpoint_seconds)
        delta, adapter = lesson.learn(survival)
        if not self.accelerator.is_main_process:
            return None
        fold.apply(self.base.model, pristine)
        norm_ratios = norms.norm_ratios(self.base.model, delta)
        folded = fold.fold(self.base.model, [*chain, delta], dtype=self.base.stored_dtype)
        fold.apply(self.base.model, folded)
        self._score_lineage()
        memories = lesson.remember()
        self.report(PhaseEvent(phase=Phase.PUBLISHING))
        digest = self.base.digest_with(folded)
        outcome = Outcome(
            delta=delta,
            adapter=adapter,
            memories=memories,
            scores=self._scores,
            digest=digest,
            norm_ratios=norm_ratios,
            non_finite=norms.count_non_finite(folded),
            overlaps=_overlaps(delta, chain),
        )
        return publish(self.folder.out, outcome, spec=self.spec, base=self.base)

    def _chain(self) -> list[Delta]:
        deltas = []
        for link in self.spec.chain:
            folder = self.folder.root / link.folder
            manifests.verify(folder, sha256=link.manifest_sha256)
            deltas.append(Delta.load(folder / DELTA_FILE, shapes=self.base.facts.modules))
        return deltas

    def _become_parent(self, chain: list[Delta]) -> dict[str, Tensor]:
        """Put the parent's weights, uncast, into the network; return the base's own in their place."""
        model = self.base.model
        cast = fold.fold(model, chain, dtype=self.base.stored_dtype)
        if self.base.digest_with(cast) != self.spec.parent_digest:
            raise CorruptError("the parent's weights are not the ones that were published")
        uncast = fold.fold(model, chain)
        pristine = {name: model.get_parameter(name).detach().clone() for name in uncast}
        fold.apply(model, uncast)
        return pristine

    def _lesson(self, chain: list[Delta], pristine: dict[str, Tensor]) -> Lesson:
        return Lesson(
            recipe=self.recipe,
            network=self.base.model,
            tokenizer=self.base.tokenizer,
            family=self.base.facts.family,
            accelerator=self.accelerator,
            chain=chain,
            pristine=pristine,
            states=self._memory_states(),
            own_rows=self._examples(self.spec.train_rows),
            held_out=self._examples(self.spec.tasks[-1].rows) if self.recipe.training.early_stopping else (),
            watch=Watch(report=self._tell, stopping=self.stopping, pulse=self._pulse),
        )

    def _examples(self, file: str) -> list[rows.TokenRow]:
        training = self.recipe.training
        return rows.tokenise(
            rows.read(self.folder.root / file),
            self.base.tokenizer,
            self.base.facts.family,
            max_source_tokens=training.max_source_tokens,
            max_target_tokens=training.max_target_tokens,
        )

    def _memory_states(self) -> dict[str, dict[str, Tensor]]:
        """Return each memory's state as the newest version of the chain left it that has one."""
        states = {}
        for part in self.recipe.memories:
            files = (self.folder.root / link.folder / memory_file(part.name) for link in reversed(self.spec.chain))
            newest = next((file for file in files if file.exists()), None)
            if newest is not None:
                states[part.name] = tensor_files.read(newest)[0]
        return states

    def _score_base(self) -> list[dict[str, Any]]:
        """Score the untouched base on the new task, how far there was to go, and on the general text."""
        task = self.spec.tasks[-1]
        metrics = dict.fromkeys((*task.metrics, OPTION_LIKELIHOOD))
        known = self.spec.known_base
        scores = self._examiner.task(task, tuple(metrics), subject="base", known=known)
        scores += self._examiner.general(subject="base", known=known)
        return [score.model_dump(mode="json") for score in scores]

    def _score_lineage(self) -> None:
        self.report(PhaseEvent(phase=Phase.EVALUATING))
        for task in self.spec.tasks:
            self._adopt([score.model_dump() for score in self._examiner.task(task, task.metrics, subject="result")])
        self._adopt([score.model_dump() for score in self._examiner.general(subject="result")])

    @property
    def _examiner(self) -> Examiner:
        return Examiner(base=self.base, root=self.folder.root, recipe=self.recipe, pulse=self._pulse)

    def _adopt(self, scores: list[dict[str, Any]]) -> None:
        for score in scores:
            event = ScoreEvent.model_validate(score)
            self._scores.append(event)
            self.report(event)

    def _tell(self, event: Event) -> None:
        if isinstance(event, ProgressEvent):
            self._last_progress = event
        self.report(event)

    def _pulse(self) -> None:
        """Show that scoring goes on, and stop it if somebody asked."""
        if self.stopping():
            raise CancelledError("stopped while scoring")
        if self._last_progress is None:
            self.report(PhaseEvent(phase=Phase.PREPARING))
        else:
            self.report(self._last_progress.model_copy(update={"eta_seconds": None, "values": {}}))

    def _fingerprint(self) -> str:
        """Return what a checkpoint must share with this run: the parent, the recipe, the processes and the rows."""
        processes = str(self.accelerator.num_processes)
        known = [self.spec.base.digest, self.spec.parent_digest, self.recipe.model_dump_json(), processes]
        files = (self.spec.train_rows, self.spec.tasks[-1].rows)
        rows_sha256 = [manifests.sha256_of(self.folder.root / file) for file in files]
        return hashlib.sha256("\n".join([*known, *rows_sha256]).encode()).hexdigest()


def _overlaps(delta: Delta, chain: Sequence[Delta]) -> tuple[OverlapSummary, ...]:
    found = (overlap(delta, earlier) for earlier in chain)
    # A cosine may round to a little over 1.
    return tuple(OverlapSummary(shared=each.shared, cosine=max(-1.0, min(1.0, each.cosine))) for each in found)

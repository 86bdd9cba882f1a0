"""Un-learning by chain in a trainer: fold the deltas that stay, score every task, publish.

preparing    load the base; verify the parent's chain; fold what stays of it
evaluating   score every task of the parent's chain, the left-out ones too
publishing   write the artefact: an empty delta on the chain of the others, and the kept rows without theirs
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from core.domain.job_folder import JobFolder, PhaseEvent, ProgressEvent, ScoreEvent
from core.domain.jobs import Phase
from core.domain.manifest import DELTA_FILE
from core.domain.trainer_spec import ChainLink, RebuildSpec
from core.learning.acceleration import accelerator_for, require_dense
from core.learning.catalogue.parts import PARTS
from core.learning.examiner import Examiner
from core.learning.publishing import Outcome, memory_file, publish
from core.learning.recipe import Recipe
from core.learning.trainer import CancelledError, Report
from core.storage import manifests
from core.weights import base, fold, norms, tensor_files
from core.weights.base import LoadedBase
from core.weights.delta import Delta

_NOTHING = Delta(modules={}, format="sparse")


@dataclass(slots=True, kw_only=True)
class RebuildRun:
    """One `rebuild` job on the base model that it loads."""

    spec: RebuildSpec
    folder: JobFolder
    report: Report
    stopping: Callable[[], bool]
    recipe: Recipe
    base: LoadedBase
    _scores: list[ScoreEvent] = field(default_factory=list)
    _done: int = 0

    @classmethod
    def open(cls, spec: RebuildSpec, folder: JobFolder, *, report: Report, stopping: Callable[[], bool]) -> Self:
        """Choose the device and load the base model.

        Raises:
            CorruptError: the base model's tensors are not those of the spec.
            InvalidError: the base or the environment is none that can be used.
            pydantic.ValidationError: the spec's recipe is none.
        """
        recipe = Recipe.model_validate(spec.recipe)
        report(PhaseEvent(phase=Phase.PREPARING))
        torch.set_num_threads(spec.threads)
        device = accelerator_for("fp32", cpu=spec.device == "cpu").device
        require_dense(Path(spec.base.path))
        loaded = base.load(Path(spec.base.path), dtype=torch.float32, expected_digest=spec.base.digest)
        loaded.model.to(device)
        return cls(spec=spec, folder=folder, report=report, stopping=stopping, recipe=recipe, base=loaded)

    def run(self) -> str:
        """Build the version and return the SHA-256 of its manifest.

        Raises:
            CancelledError: `stopping` said so.
            CorruptError: an artefact of the chain is not what was published.
        """
        for link in self.spec.links:
            manifests.verify(self._folder_of(link), sha256=link.manifest_sha256)
        shapes = self.base.facts.modules
        deltas = [Delta.load(self._folder_of(link) / DELTA_FILE, shapes=shapes) for link in self.spec.chain]
        folded = fold.fold(self.base.model, deltas, dtype=self.base.stored_dtype)
        fold.apply(self.base.model, folded)
        self._score_tasks()
        self.report(PhaseEvent(phase=Phase.PUBLISHING))
        outcome = Outcome(
            delta=_NOTHING,
            adapter=None,
            memories=self._kept_rows(),
            scores=self._scores,
            digest=self.base.digest_with(folded),
            norm_ratios={},
            non_finite=norms.count_non_finite(folded),
        )
        return publish(self.folder.out, outcome, spec=self.spec, base=self.base)

    def _score_tasks(self) -> None:
        self.report(PhaseEvent(phase=Phase.EVALUATING))
        examiner = Examiner(base=self.base, root=self.folder.root, recipe=self.recipe, pulse=self._pulse)
        for task in self.spec.tasks:
            self._adopt(examiner.task(task, task.metrics, subject="result"))
            self._done += 1
            self._pulse()
        self._adopt(examiner.general(subject="result"))

    def _adopt(self, scores: list[ScoreEvent]) -> None:
        for score in scores:
            self._scores.append(score)
            self.report(score)

    def _pulse(self) -> None:
        """Show how far it is, and stop if somebody asked: a step is a task that was scored."""
        if self.stopping():
            raise CancelledError("stopped while scoring")
        self.report(ProgressEvent(step=self._done, total_steps=len(self.spec.tasks)))

    def _kept_rows(self) -> dict[str, Mapping[str, Tensor]]:
        """Return the memories of rows without those of the left-out tasks.

        The next task takes each memory's state from the newest version of its chain that has one, so these stand before
        those of the tasks that stay. What keeps no rows is left as it is.
        """
        states = {}
        for part in (part for part in PARTS["memory"].values() if part.stores_rows):
            kept: Mapping[str, Tensor] = {}
            before: Mapping[str, Tensor] = {}
            left_out = []
            for link in self.spec.links:
                file = self._folder_of(link) / memory_file(part.name)
                if not file.exists():
                    continue
                state = tensor_files.read(file)[0]
                if link.version_id in self.spec.left_out:
                    left_out.append((before, state))
                else:
                    kept = state
                before = state
            for found, left in left_out if kept else ():
                kept = part.rule_class().without(kept, found=found, left=left)
            if left_out and kept:
                states[part.name] = kept
        return states

    def _folder_of(self, link: ChainLink) -> Path:
        return self.folder.root / link.folder

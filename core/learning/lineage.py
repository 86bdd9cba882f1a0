"""A model that learns task after task in memory: the whole of continual learning in a notebook, without a service."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import Accelerator
from torch import Tensor

from core.domain.manifest import DELTA_FILE
from core.domain.metrics import EXACT_MATCH
from core.learning import rows
from core.learning.acceleration import accelerator_for
from core.learning.catalogue.presets import DEFAULT_METHOD
from core.learning.lesson import Lesson, Watch
from core.learning.recipe import Recipe, TaskSpec
from core.learning.resolution import resolve
from core.learning.rows import AnyRow, TokenRow
from core.learning.scoring import Scorer
from core.learning.trainer import Report
from core.learning.training import Training
from core.weights import facts, fold, tensor_files
from core.weights.delta import Delta

_MEMORY: Final = "memory.safetensors"


class Lineage:
    """A network and the tasks it has learned, each with the same rules that a job of the service follows.

    Args:
        network: a Hugging Face causal or sequence-to-sequence model, in fp32; its weights change as tasks are learned.
        tokenizer: the network's.
        method: the preset that tasks are learned with unless they say otherwise.
        device: where to compute; None takes a GPU if there is one.

    Attributes:
        chain: the deltas of the tasks learned so far, oldest first.
        states: what each memory keeps for the next task, by its name.
    """

    def __init__(
        self, network: Any, tokenizer: Any, *, method: str = DEFAULT_METHOD, device: str | None = None
    ) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.chain: list[Delta] = []
        self.states: dict[str, Mapping[str, Tensor]] = {}
        self._method = method
        self._facts = facts.read(network, tokenizer, digest="")
        self._device = device
        self._pristine: dict[str, Tensor] = {}

    def learn(
        self,
        task: Iterable[AnyRow],
        *,
        held_out: Iterable[AnyRow] = (),
        report: Report = lambda _: None,
        spec: Mapping[str, Any] | None = None,
    ) -> Delta:
        """Learn a task on top of the ones before, merge it into the network and return what it changed.

        Args:
            task: training rows.
            held_out: rows that early stopping measures on, where the settings ask for it.
            report: told of every step; see `core.domain.job_folder.ProgressEvent`.
            spec: settings of the task, of `TaskSpec`'s shape, e.g. ``{"training": {"epochs": 3}}``.

        Raises:
            InvalidError: the settings cannot be; its places say where.
            DivergedError: the loss is no longer a number, or exploded.
        """
        recipe = self.recipe(spec)
        lesson = Lesson(
            recipe=recipe,
            network=self.network,
            tokenizer=self.tokenizer,
            family=self._facts.family,
            accelerator=self._accelerator(recipe),
            chain=self.chain,
            pristine=self._pristine,
            states=self.states,
            own_rows=self._tokens(task, recipe.training),
            held_out=self._tokens(held_out, recipe.training),
            watch=Watch(report=report),
        )
        delta, _ = lesson.learn()
        self._merge(delta)
        self.states |= lesson.remember()
        self.chain.append(delta)
        return delta

    def score(self, held_out: Iterable[AnyRow], *, metric: str = EXACT_MATCH) -> float:
        """Return the share of rows that the network answers rightly; of documents, their token accuracy or perplexity."""
        recipe = self.recipe()
        scorer = Scorer(
            model=self.network,
            tokenizer=self.tokenizer,
            family=self._facts.family,
            max_source_tokens=recipe.training.max_source_tokens,
            max_target_tokens=recipe.training.max_target_tokens,
            batch_size=recipe.evaluation.batch_size,
            pulse=lambda: None,
        )
        return scorer.score(list(held_out), metric).value

    def save(self, folder: Path) -> None:
        """Write what the last task left, its delta and every memory's state, so that `resume` can go on after it."""
        folder.mkdir(parents=True)
        for name, state in self.states.items():
            held = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
            tensor_files.write(folder / f"{name}.{_MEMORY}", held, {})
        self.chain[-1].save(folder / DELTA_FILE)

    def resume(self, folders: Sequence[Path]) -> None:
        """Become, from the base's weights, the lineage whose tasks `save` wrote to ``folders``, oldest first.

        Raises:
            CorruptError: a file is none that `save` wrote for a network like this one.
        """
        for folder in folders:
            delta = Delta.load(folder / DELTA_FILE, shapes=self._facts.modules)
            self._merge(delta)
            self.chain.append(delta)
        for file in folders[-1].glob(f"*.{_MEMORY}") if folders else ():
            self.states[file.name.removesuffix(f".{_MEMORY}")] = tensor_files.read(file)[0]

    def recipe(self, spec: Mapping[str, Any] | None = None) -> Recipe:
        """Return the complete method of a task with these settings. The rows are the caller's own: all may be kept."""
        return resolve(
            TaskSpec.model_validate(spec or {}), default_method=self._method, facts=self._facts, may_store_rows=True
        )

    def _tokens(self, task: Iterable[AnyRow], training: Training) -> list[TokenRow]:
        return rows.tokenise(
            task,
            self.tokenizer,
            self._facts.family,
            max_source_tokens=training.max_source_tokens,
            max_target_tokens=training.max_target_tokens,
        )

    def _accelerator(self, recipe: Recipe) -> Accelerator:
        accelerator = accelerator_for(recipe.training.precision, cpu=self._device == "cpu")
        self.network.to(accelerator.device)
        return accelerator

    @torch.no_grad()
    def _merge(self, delta: Delta) -> None:
        merged = fold.fold(self.network, [delta])
        for name in merged.keys() - self._pristine.keys():
            self._pristine[name] = self.network.get_parameter(name).detach().clone()
        fold.apply(self.network, merged)

"""One task, learned in memory: on a network that holds the parent's weights, and without a folder or a registry.

recall the past -> train -> read the delta out -> put the parent's weights back
... merge it, then ->  let the memories look at the merged task
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor

from core.domain.base_facts import Family
from core.domain.errors import InvalidError
from core.learning import rows
from core.learning.adapters.state import AdapterState
from core.learning.checkpoints import Checkpoints
from core.learning.divergence import LossWatch
from core.learning.early_stopping import HeldOut
from core.learning.feed import Feed, in_batches
from core.learning.learner import Learner, adamw
from core.learning.loss import target_logits, target_loss
from core.learning.memories.port import Past
from core.learning.method import Method, assemble
from core.learning.plan import Plan
from core.learning.recipe import Recipe
from core.learning.rows import TokenRow
from core.learning.sampling import sample
from core.learning.scoring import pad_token
from core.learning.trainer import CHECKPOINT_SECONDS, Report, Trainer
from core.weights.delta import Delta


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """How a run survives a restart.

    Attributes:
        notes: what a resumed run must also know, e.g. scores taken before the first step.
    """

    checkpoints: Checkpoints
    notes: dict[str, Any] = field(default_factory=dict)
    checkpoint_seconds: float = CHECKPOINT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who is told how the run goes, and who may stop it.

    Attributes:
        stopping: says whether to stop after the current step.
        pulse: called now and then outside of training; it may raise to stop.
    """

    report: Report = lambda _: None
    stopping: Callable[[], bool] = lambda: False
    pulse: Callable[[], None] = lambda: None


@dataclass(slots=True, kw_only=True)
class Lesson:
    """One task on one network.

    Attributes:
        network: the base network with the parent's weights, uncast.
        pristine: the base model's own weights of all modules that the chain changed, by tensor name.
        chain: the parent's deltas, oldest first.
        states: what each memory left, by its name.
        own_rows: the task's training rows.
        held_out: rows of the task that it does not learn from; early stopping measures on them.
    """

    recipe: Recipe
    network: Any
    tokenizer: Any
    family: Family
    accelerator: Accelerator
    chain: Sequence[Delta]
    pristine: Mapping[str, Tensor]
    states: Mapping[str, Mapping[str, Tensor]]
    own_rows: Sequence[TokenRow]
    held_out: Sequence[TokenRow] = ()
    watch: Watch = field(default_factory=Watch)
    _method: Method | None = None

    def learn(self, survival: Survival | None = None) -> tuple[Delta, AdapterState | None]:
        """Train, and return what the task leaves; the network holds the parent's weights again.

        Raises:
            CancelledError: `Watch.stopping` said so.
            DivergedError: the loss is no longer a number, or exploded.
            InvalidError: a setting asks for what the network or the task does not have.
        """
        held_out = self._held_out()
        self._require_what_the_network_has()
        set_seed(self.recipe.training.seed)
        self._method = method = assemble(self.recipe)
        model = method.adapter.attach(self.network).train()
        past = Past(
            chain=self.chain,
            states=self.states,
            modules=set(method.adapter.layers()),
            device=self.accelerator.device,
        )
        method.recall(past)
        method.composition.begin(self.network, method.adapter, self.pristine)
        if self.recipe.training.gradient_checkpointing:
            self.network.activation_checkpointing_enable({"use_reentrant": False})
        try:
            self._train(model, method, held_out, survival)
            delta = method.composition.delta(method.adapter)
            method.keep()
        finally:
            # However it ended, the caller's network is the parent again.
            if self.recipe.training.gradient_checkpointing:
                self.network.activation_checkpointing_disable()
                self.network.disable_input_require_grads()
            state = method.adapter.detach()
            method.composition.end(self.network)
        return delta, state

    def _train(self, model: Any, method: Method, held_out: HeldOut | None, survival: Survival | None) -> None:
        learner, feed = self._learner(model, method)
        Trainer(
            learner=learner,
            feed=feed,
            losses=LossWatch(self.network.get_output_embeddings().weight.shape[0]),
            held_out=held_out,
            report=self.watch.report,
            stopping=self.watch.stopping,
            **({} if survival is None else _fields(survival)),
        ).run()

    def remember(self) -> dict[str, dict[str, Tensor]]:
        """Let the memories look at the task, which the caller has merged into the network; return their states."""
        if self._method is None:
            raise RuntimeError("a task is remembered once it is learned")
        return self._method.observe(MergedTask(self, list(self._method.adapter.layers())))

    def _learner(self, model: Any, method: Method) -> tuple[Learner, Feed]:
        training, ranks = self.recipe.training, self.accelerator.num_processes
        all_rows = method.training_rows(self.own_rows)
        total_steps = training.steps(len(all_rows), processes=ranks)
        forward, optimizer = self.accelerator.prepare(model, adamw(model, training))
        learner = Learner(
            model=model,
            forward=forward,
            adapter=method.adapter,
            objectives=method.objectives,
            optimizer=optimizer,
            accelerator=self.accelerator,
            family=self.family,
            max_grad_norm=training.max_grad_norm,
            total_steps=total_steps,
            rate_factor=partial(training.rate_factor, total_steps=total_steps),
            has_past=bool(self.chain),
            share_prefix=not training.gradient_checkpointing,
        )
        lengths = [len(row) for row in all_rows] if training.group_by_length else None
        plan = Plan(len(all_rows), rows_per_step=training.rows_per_step(ranks), seed=training.seed, lengths=lengths)
        return learner, Feed(all_rows, plan, training.batch_size, pad_token(self.tokenizer))

    def _held_out(self) -> HeldOut | None:
        """Return this rank's share of the rows that early stopping measures on; None without early stopping."""
        training, accelerator = self.recipe.training, self.accelerator
        if training.early_stopping is None:
            return None
        measured = sample(self.held_out, training.early_stopping.max_rows)
        if not measured:
            raise InvalidError("training.early_stopping needs held-out rows of the task, and there are none")
        batches = in_batches(measured, training.batch_size, pad=pad_token(self.tokenizer))
        return HeldOut(
            settings=training.early_stopping, batches=batches[accelerator.process_index :: accelerator.num_processes]
        )

    def _require_what_the_network_has(self) -> None:
        if self.recipe.training.gradient_checkpointing and not self.network.supports_gradient_checkpointing:
            raise InvalidError("training.gradient_checkpointing is not offered by the base model's architecture")


@dataclass(frozen=True, slots=True)
class MergedTask:
    """The lesson's task as memories look at it: `core.learning.memories.port.Learned`."""

    lesson: Lesson
    modules: Sequence[str]

    @property
    def network(self) -> Any:
        """The network with the task merged into it."""
        return self.lesson.network

    @property
    def rows(self) -> Sequence[TokenRow]:
        """The task's own training rows."""
        return self.lesson.own_rows

    @property
    def seed(self) -> int:
        """The task's seed."""
        return self.lesson.recipe.training.seed

    @torch.no_grad()
    def show(self, max_rows: int) -> None:
        """Pass rows through the network without any padding: rows of equal lengths together."""
        size = self.lesson.recipe.evaluation.batch_size
        alike: dict[tuple[int, int], list[TokenRow]] = {}
        for row in sample(self.rows, max_rows):
            alike.setdefault((len(row.input_ids), len(row.labels)), []).append(row)
        for group in alike.values():
            for first in range(0, len(group), size):
                target_logits(self.network.eval(), self._batch(group[first : first + size]), self.lesson.family)
                self.lesson.watch.pulse()

    def row_losses(self, max_rows: int) -> Iterator[Tensor]:
        """Yield the summed target loss of one row after another."""
        for row in sample(self.rows, max_rows):
            with torch.enable_grad():
                yield target_loss(self.network.eval(), self._batch([row]), self.lesson.family)
            self.lesson.watch.pulse()

    def _batch(self, group: list[TokenRow]) -> Any:
        return rows.collate(group, pad=0).to(self.lesson.accelerator.device)


def _fields(survival: Survival) -> dict[str, Any]:
    return {
        "checkpoints": survival.checkpoints,
        "notes": survival.notes,
        "checkpoint_seconds": survival.checkpoint_seconds,
    }

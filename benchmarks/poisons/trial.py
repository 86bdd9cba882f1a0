"""One lineage of three tasks, learned once; any number of fourth tasks on top of it, each judged by the gate.

What a trainer reports and what the registry would know are formed here from the same functions as in a job.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.poisons import toy
from benchmarks.poisons.toy import Task
from core.domain.gate import Evidence, judge
from core.domain.gate_report import GateReport
from core.domain.job_folder import ScoreEvent
from core.domain.manifest import DeltaSummary
from core.domain.metrics import EXACT_MATCH
from core.domain.policies import GatePolicy
from core.domain.scores import Score
from core.learning.catalogue.presets import DEFAULT_METHOD
from core.learning.lineage import Lineage
from core.learning.rows import Row
from core.learning.scoring import Scorer
from core.weights import fold, norms
from core.weights.delta import Delta

PARENT: Final = "parent"


@dataclass(frozen=True, slots=True)
class Trial:
    """One fourth task, and what the gate made of it."""

    kind: str
    seed: int
    report: GateReport


@dataclass(frozen=True, slots=True)
class Scene:
    """The lineage that every trial starts from.

    Attributes:
        base: the network before anything was learned.
        earlier: the tasks learned so far.
        parent: how the lineage does on them.
    """

    base: Any
    lineage: Lineage
    earlier: Sequence[Task]
    parent: Sequence[Score]

    def judge(self, task: Task, *, seed: int, policy: GatePolicy) -> GateReport:
        """Learn ``task`` on a copy of the lineage, and return what the gate says of the version."""
        lineage = copy.deepcopy(self.lineage)
        training = {**toy.SPEC["training"], "seed": seed}
        delta = lineage.learn(task.train, spec={**toy.SPEC, "training": training})
        everything = {each.name: each.held_out for each in (*self.earlier, task)}
        evidence = Evidence(
            task_id=task.name,
            names={name: name for name in everything},
            scores=[_event(lineage, name, held_out) for name, held_out in everything.items()],
            parent=self.parent,
            delta=_summary(self.base, [*self.lineage.chain, delta]),
        )
        return judge(policy, evidence)


KINDS: Final[dict[str, Callable[[Scene, int], Task]]] = {
    "clean": lambda _, seed: toy.clean(toy.NEW, 100 + seed),
    "random labels": lambda _, seed: toy.random_labels(100 + seed),
    "contradiction": lambda scene, seed: toy.contradiction(seed, of=scene.earlier[seed % len(scene.earlier)]),
    "flipped file": lambda _, seed: toy.flipped(100 + seed),
}


def scene() -> Scene:
    """Train the base, and learn three tasks on it by the default method."""
    network, tokenizer = toy.base()
    untouched = copy.deepcopy(network)
    lineage = Lineage(network, tokenizer, method=DEFAULT_METHOD, device="cpu")
    earlier = [toy.clean(letter, seed) for seed, letter in enumerate(toy.EARLIER)]
    for task in earlier:
        lineage.learn(task.train, spec=toy.SPEC)
    found = [_event(lineage, task.name, task.held_out) for task in earlier]
    parent = [Score(version_id=PARENT, **event.model_dump(exclude={"event", "subject"})) for event in found]
    return Scene(untouched, lineage, earlier, parent)


def trials(given: Scene, *, kinds: Iterable[str], seeds: Iterable[int], policy: GatePolicy) -> Iterable[Trial]:
    """Yield what the gate makes of each kind of task, for each seed."""
    every_seed = list(seeds)
    for kind in kinds:
        for seed in every_seed:
            yield Trial(kind, seed, given.judge(KINDS[kind](given, seed), seed=seed, policy=policy))


def _event(lineage: Lineage, name: str, held_out: Sequence[Row]) -> ScoreEvent:
    training = lineage.recipe(toy.SPEC).training
    scorer = Scorer(
        model=lineage.network,
        tokenizer=lineage.tokenizer,
        family="causal",
        max_source_tokens=training.max_source_tokens,
        max_target_tokens=training.max_target_tokens,
        batch_size=64,
        pulse=lambda: None,
    )
    score = scorer.score(held_out, EXACT_MATCH)
    return ScoreEvent(
        subject="result",
        task_id=name,
        metric=score.metric,
        value=score.value,
        n_rows=score.n_rows,
        chance=score.chance,
        rows_sha256=name.encode().hex().ljust(64, "0"),
        outcomes=tuple(score.sample.outcomes),
    )


def _summary(base: Any, chain: Sequence[Delta]) -> DeltaSummary:
    delta, ratios = chain[-1], norms.norm_ratios(base, chain[-1])
    return delta.summary(
        size_bytes=0, norm_ratios=ratios, non_finite=norms.count_non_finite(fold.fold(base, list(chain)))
    )

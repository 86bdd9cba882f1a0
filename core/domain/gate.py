"""Whether a new version may be served: a pure function of the policy and what was measured.

Sums of many rows err little, of few rows much: a rule therefore asks how sure its figure is, and says that it did not
judge where nobody could. A version passes above chance only if that is sure, and fails for a drop only if that is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from core.domain import bounds, drops
from core.domain.drops import ALL_OR_NOTHING, Comparison
from core.domain.gate_report import Drop, Finding, GateReport, Rule, Verdict
from core.domain.job_folder import ScoreEvent
from core.domain.manifest import DeltaSummary
from core.domain.metrics import EXACT_MATCH, SHARES
from core.domain.policies import GatePolicy
from core.domain.scores import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a version that is about to be published.

    Attributes:
        task_id: the task that it learned.
        names: of this task and all earlier ones, by id.
        scores: of the new version, and of the base on the new task; a task's main metric first.
        parent: the scores of the version that it was learned on.
        delta: what its own weights are, in figures.
    """

    task_id: str
    names: Mapping[str, str]
    scores: Sequence[ScoreEvent]
    parent: Sequence[Score]
    delta: DeltaSummary

    def shares(self, subject: str) -> list[ScoreEvent]:
        """Return the scores of ``result`` or ``base`` on tasks, by metrics of which more is better."""
        return [each for each in self.scores if each.subject == subject and each.task_id and each.metric in SHARES]

    @property
    def earlier(self) -> list[ScoreEvent]:
        """The new version's scores on earlier tasks."""
        return [each for each in self.shares("result") if each.task_id != self.task_id]

    @property
    def base(self) -> list[ScoreEvent]:
        """The base's scores on the new task."""
        return [each for each in self.shares("base") if each.task_id == self.task_id]

    @property
    def own(self) -> list[ScoreEvent]:
        """The new version's scores on the new task."""
        return [each for each in self.shares("result") if each.task_id == self.task_id]


def judge(policy: GatePolicy, evidence: Evidence) -> GateReport:
    """Return what every rule of ``policy`` says of a version."""
    if not policy.enabled:
        return GateReport(verdict=Verdict.NOT_JUDGED, rules=(), drops=(), policy=policy)
    compared = drops.compare(evidence.parent, evidence.earlier, min_rows=policy.min_rows)
    shared = _shared(policy.confidence, len(compared))
    fallen = tuple(_drop(each, task=evidence.names[str(each.after.task_id)], confidence=shared) for each in compared)
    rules = (
        _floor(policy, evidence),
        _above_chance(policy, evidence),
        _single_drop(policy, fallen),
        _mean_drop(policy, compared),
        _finite_weights(evidence.delta),
        _norm_bound(policy, evidence.delta),
    )
    found = {finding.verdict for finding in rules}
    verdict = next((each for each in (Verdict.FAILED, Verdict.PASSED) if each in found), Verdict.NOT_JUDGED)
    return GateReport(verdict=verdict, rules=rules, drops=fallen, policy=policy)


def _floor(policy: GatePolicy, evidence: Evidence) -> Finding:
    if policy.floor is None:
        return _not_judged(Rule.FLOOR, "the policy asks for no least score")
    if not evidence.own:
        return _not_judged(Rule.FLOOR, "the new task has no held-out rows to be scored on", limit=policy.floor)
    score = evidence.own[0]
    says = (
        f"the new task's {score.metric} is {score.value:.3f} on {score.n_rows} rows; at least {policy.floor:g} is asked"
    )
    return _finding(Rule.FLOOR, fails=score.value < policy.floor, limit=policy.floor, says=says, score=score.value)


def _above_chance(policy: GatePolicy, evidence: Evidence) -> Finding:
    if why := _why_no_chance(policy, evidence):
        return _not_judged(Rule.ABOVE_CHANCE, why)
    guessable = [score for score in evidence.own if _is_guessable(score)]
    if not guessable:
        return _no_worse_than_base(policy, evidence)
    confidence = _shared(policy.confidence, len(guessable))
    tellable = [score for score in guessable if _best_low(score, confidence) > (score.chance or 0)]
    if not tellable:
        return _not_judged(Rule.ABOVE_CHANCE, "on these rows not even a perfect score would be surely above chance")
    lows = [(_low(score, confidence), score) for score in tellable]
    low, score = max(lows, key=lambda pair: pair[0] - (pair[1].chance or 0))
    chance = score.chance or 0
    sure = "surely" if low > chance else "perhaps only"
    says = (
        f"{score.metric} is {score.value:.3f} on {score.n_rows} rows of the new task, {sure} {low:.3f}; "
        f"answers without any understanding reach {chance:.3f}"
    )
    figures = {"score": score.value, "score_low": low}
    return _finding(Rule.ABOVE_CHANCE, fails=low <= chance, limit=chance, says=says, **figures)


def _why_no_chance(policy: GatePolicy, evidence: Evidence) -> str | None:
    if not policy.above_chance:
        return "the policy does not ask for it"
    if not evidence.own:
        return "the new task has no held-out rows to be scored on"
    if evidence.own[0].n_rows < policy.min_rows:
        return f"too few rows: {evidence.own[0].n_rows} are held out, {policy.min_rows} are asked"
    return None


def _no_worse_than_base(policy: GatePolicy, evidence: Evidence) -> Finding:
    """Judge what nobody can guess, such as documents, by what the untouched base makes of the same rows."""
    score = evidence.own[0]
    base = next((each for each in evidence.base if each.metric == score.metric), None)
    compared = drops.comparison(base, score) if base and score.chance is None else None
    if base is None or compared is None:
        return _not_judged(Rule.ABOVE_CHANCE, "there is no level of chance for this kind of task")
    low = compared.low(policy.confidence)
    says = (
        f"{score.metric} is {score.value:.3f} on {score.n_rows} rows of the new task; the base reaches {base.value:.3f}"
    )
    figures = {"score": score.value, "lost_low": low}
    return _finding(Rule.ABOVE_CHANCE, fails=low > 0, limit=base.value, says=says, **figures)


def _single_drop(policy: GatePolicy, fallen: Sequence[Drop]) -> Finding:
    limit = policy.max_single_drop
    if not fallen:
        return _not_judged(Rule.SINGLE_DROP, _nothing_to_lose(policy), limit=limit)
    worst = max(fallen, key=lambda each: each.drop_low)
    says = (
        f"{worst.task} went from {worst.before:.3f} to {worst.after:.3f} on {worst.n_rows} rows, "
        f"a drop of {worst.drop:.3f}{_surely(worst.drop_low)}; {limit:g} is allowed"
    )
    figures = {"drop": worst.drop, "drop_low": worst.drop_low}
    return _finding(Rule.SINGLE_DROP, fails=worst.drop_low > limit, limit=limit, says=says, **figures)


def _mean_drop(policy: GatePolicy, compared: Sequence[Comparison]) -> Finding:
    limit = policy.max_mean_drop
    if not compared:
        return _not_judged(Rule.MEAN_DROP, _nothing_to_lose(policy), limit=limit)
    drop = fmean(each.drop for each in compared)
    low = drops.mean_low(compared, policy.confidence)
    tasks = "1 earlier task" if len(compared) == 1 else f"{len(compared)} earlier tasks"
    says = f"{tasks} lost {drop:.3f} on average{_surely(low)}; {limit:g} is allowed"
    return _finding(Rule.MEAN_DROP, fails=low > limit, limit=limit, says=says, drop=drop, drop_low=low)


def _finite_weights(delta: DeltaSummary) -> Finding:
    if delta.non_finite is None:
        return _not_judged(Rule.FINITE_WEIGHTS, "the trainer did not count")
    says = "every weight is a finite number"
    if delta.non_finite:
        says = f"{delta.non_finite} weights are infinite or no number once they are stored"
    figures = {"non_finite": float(delta.non_finite)}
    return _finding(Rule.FINITE_WEIGHTS, fails=delta.non_finite > 0, limit=0.0, says=says, **figures)


def _norm_bound(policy: GatePolicy, delta: DeltaSummary) -> Finding:
    limit = policy.max_norm_ratio
    ratios = {name: module.norm_ratio for name, module in delta.modules.items() if module.norm_ratio is not None}
    if not ratios:
        return _not_judged(Rule.NORM_BOUND, "the trainer did not measure", limit=limit)
    name, ratio = max(ratios.items(), key=lambda pair: pair[1])
    says = f"{name} changed by {ratio:.3g} times the size of its weight in the base; {limit:g} times is allowed"
    return _finding(Rule.NORM_BOUND, fails=ratio > limit, limit=limit, says=says, norm_ratio=ratio)


def _drop(compared: Comparison, *, task: str, confidence: float) -> Drop:
    return Drop(
        task_id=str(compared.before.task_id),
        task=task,
        metric=compared.before.metric,
        before=round(compared.before.value, 4),
        after=round(compared.after.value, 4),
        drop=round(compared.drop, 4),
        drop_low=round(compared.low(confidence), 4),
        n_rows=compared.after.n_rows,
        paired=compared.paired,
    )


def _is_guessable(score: ScoreEvent) -> bool:
    """Return whether a score can be held against chance: where no answer occurs twice, exact match asks too much."""
    if score.chance is None or drops.sample_of(score) is None:
        return False
    return score.metric != EXACT_MATCH or round(score.chance * score.n_rows) > 1


def _low(score: ScoreEvent, confidence: float) -> float:
    if score.metric in ALL_OR_NOTHING:
        return bounds.proportion_low(round(score.value * score.n_rows), score.n_rows, confidence=confidence)
    sample = drops.sample_of(score)
    return bounds.low(sample, confidence=confidence) if sample else 0.0


def _best_low(score: ScoreEvent, confidence: float) -> float:
    """Return what a perfect score on as many rows would surely be."""
    return bounds.proportion_low(score.n_rows, score.n_rows, confidence=confidence)


def _shared(confidence: float, tests: int) -> float:
    """Return the confidence of each of several tests that leaves them, together, as sure as one (Bonferroni)."""
    return 1 - (1 - confidence) / max(tests, 1)


def _nothing_to_lose(policy: GatePolicy) -> str:
    return f"there is no earlier task that both versions were scored on by {policy.min_rows} rows or more"


def _surely(low: float) -> str:
    return f", surely {low:.3f} or more" if low > 0 else ""


def _finding(rule: Rule, *, fails: bool, limit: float | None, says: str, **figures: float) -> Finding:
    verdict = Verdict.FAILED if fails else Verdict.PASSED
    rounded = {name: round(figure, 4) for name, figure in figures.items()}
    return Finding(rule=rule, verdict=verdict, limit=limit, figures=rounded, says=says)


def _not_judged(rule: Rule, says: str, *, limit: float | None = None) -> Finding:
    return Finding(rule=rule, verdict=Verdict.NOT_JUDGED, limit=limit, figures={}, says=says)

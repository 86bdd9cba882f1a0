"""What the gate says, rule by rule, of figures that are given."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from core.domain.gate import Evidence, judge
from core.domain.gate_report import Finding, GateReport, Rule, Verdict
from core.domain.job_folder import ScoreEvent
from core.domain.manifest import DeltaSummary, ModuleSummary
from core.domain.policies import GatePolicy
from core.domain.scores import Score

NEW = "task_new"
DELTA = DeltaSummary(
    format="sparse",
    nnz=1,
    density=0.1,
    size_bytes=10,
    non_finite=0,
    modules={"q": ModuleSummary(shape=(2, 5), nnz=1, norm_ratio=0.05)},
)


def event(right: int, rows: int = 100, task: str = NEW, **fields: Any) -> ScoreEvent:
    """Return a new version's exact match; the first rows are the right ones."""
    outcomes = (1.0,) * right + (0.0,) * (rows - right)
    known = {"subject": "result", "task_id": task, "metric": "exact_match", "value": right / rows, "n_rows": rows}
    return ScoreEvent.model_validate(known | {"rows_sha256": "a" * 64, "outcomes": outcomes} | fields)


def before(right: int, rows: int = 100, task: str = "task_1", **fields: Any) -> Score:
    """Return the parent's exact match."""
    same = event(right, rows, task, **fields).model_dump(exclude={"event", "subject", "chance"})
    return Score(version_id="ver_parent", **same)


def said(*scores: ScoreEvent, parent: Sequence[Score] = (), delta: DeltaSummary = DELTA, **policy: Any) -> GateReport:
    names = {str(score.task_id): f"the {score.task_id}" for score in scores}
    evidence = Evidence(task_id=NEW, names=names, scores=scores, parent=parent, delta=delta)
    return judge(GatePolicy(**policy), evidence)


def rule(report: GateReport, name: Rule) -> Finding:
    return next(finding for finding in report.rules if finding.rule is name)


def test_a_version_without_fault_passes_and_every_rule_has_its_say() -> None:
    report = said(event(90, chance=0.25), event(95, task="task_1"), parent=[before(96)], floor=0.5)
    assert report.verdict is Verdict.PASSED
    assert [finding.rule for finding in report.rules] == list(Rule)
    assert {finding.verdict for finding in report.rules} == {Verdict.PASSED}
    assert report.failures == ()


def test_a_gate_that_is_off_judges_nothing() -> None:
    report = said(event(0, chance=0.5), enabled=False)
    assert (report.verdict, report.rules) == (Verdict.NOT_JUDGED, ())


@pytest.mark.parametrize(("right", "verdict"), [(79, Verdict.FAILED), (80, Verdict.PASSED)])
def test_the_floor_is_a_plain_limit(right: int, verdict: Verdict) -> None:
    assert rule(said(event(right), floor=0.8), Rule.FLOOR).verdict is verdict


def test_a_floor_holds_for_few_rows_too() -> None:
    assert said(event(1, rows=3), floor=0.5).verdict is Verdict.FAILED


@pytest.mark.parametrize(("right", "verdict"), [(30, Verdict.FAILED), (35, Verdict.FAILED), (36, Verdict.PASSED)])
def test_a_new_task_must_surely_be_above_chance(right: int, verdict: Verdict) -> None:
    # Of 100 rows of chance 1/4, 35 right ones or more come in 1.6 % of all samples, and 36 in 0.9 %.
    finding = rule(said(event(right, chance=0.25)), Rule.ABOVE_CHANCE)
    assert (finding.verdict, finding.limit) == (verdict, 0.25)
    assert f"is {right / 100:.3f} on 100 rows" in finding.says


def test_too_few_rows_are_not_judged() -> None:
    finding = rule(said(event(0, rows=19, chance=0.5)), Rule.ABOVE_CHANCE)
    assert finding.verdict is Verdict.NOT_JUDGED
    assert "too few rows: 19" in finding.says


@pytest.mark.parametrize("chance", [1.0, 0.9])
def test_where_nothing_can_be_surely_above_chance_it_is_not_judged(chance: float) -> None:
    finding = rule(said(event(0, rows=20, chance=chance)), Rule.ABOVE_CHANCE)
    assert finding.verdict is Verdict.NOT_JUDGED
    assert "not even a perfect score" in finding.says


def test_where_no_answer_occurs_twice_exact_match_is_no_yardstick() -> None:
    assert rule(said(event(0, chance=0.01)), Rule.ABOVE_CHANCE).verdict is Verdict.NOT_JUDGED


def test_one_metric_above_chance_is_enough() -> None:
    shares = tuple(0.3 + 0.002 * n for n in range(100))
    graded = event(0, metric="token_f1", value=sum(shares) / 100, outcomes=shares, chance=0.1)
    assert rule(said(event(0, chance=0.05), graded), Rule.ABOVE_CHANCE).verdict is Verdict.PASSED
    poor = graded.model_copy(update={"chance": 0.4})
    assert rule(said(event(0, chance=0.05), poor), Rule.ABOVE_CHANCE).verdict is Verdict.FAILED


def test_a_share_without_outcomes_or_chance_is_not_judged() -> None:
    unknown = event(0, metric="token_f1", outcomes=None, chance=0.5)
    assert rule(said(unknown), Rule.ABOVE_CHANCE).verdict is Verdict.NOT_JUDGED
    assert rule(said(event(0)), Rule.ABOVE_CHANCE).verdict is Verdict.NOT_JUDGED
    assert rule(said(), Rule.ABOVE_CHANCE).verdict is Verdict.NOT_JUDGED


@pytest.mark.parametrize(("guessed", "verdict"), [(5, Verdict.FAILED), (20, Verdict.PASSED), (30, Verdict.PASSED)])
def test_documents_must_not_be_read_worse_than_by_the_base(guessed: int, verdict: Verdict) -> None:
    def reading(subject: str, tokens: int) -> ScoreEvent:
        outcomes = tuple(float(tokens + n % 3) for n in range(30))
        sizes = (50,) * 30
        fields = {"metric": "token_accuracy", "value": sum(outcomes) / 1500, "outcomes": outcomes, "sizes": sizes}
        return event(0, rows=30, subject=subject, **fields)

    perplexity = event(0, rows=30, metric="perplexity", value=80.0)
    finding = rule(said(reading("base", 20), reading("result", guessed), perplexity), Rule.ABOVE_CHANCE)
    assert finding.verdict is verdict


def test_a_drop_is_judged_by_its_lower_bound_on_the_same_rows() -> None:
    # 39 of 100 rows lost: the drop is surely 0.27 or more, which is not surely over 0.3; 45 are.
    for after, verdict in ((60, Verdict.PASSED), (54, Verdict.FAILED)):
        report = said(event(99), event(after, task="task_1"), parent=[before(99)], max_mean_drop=1)
        assert rule(report, Rule.SINGLE_DROP).verdict is verdict
        assert report.drops[0].paired
        assert report.drops[0].drop == pytest.approx((99 - after) / 100)
        assert report.drops[0].task == "the task_1"


def test_other_rows_are_compared_without_pairing() -> None:
    other = [before(99, rows_sha256="b" * 64)]
    paired = said(event(99), event(60, task="task_1"), parent=[before(99)]).drops[0]
    unpaired = said(event(99), event(60, task="task_1"), parent=other).drops[0]
    assert (paired.paired, unpaired.paired) == (True, False)
    old = [before(99, rows_sha256=None, outcomes=None)]
    assert said(event(99), event(60, task="task_1"), parent=old).drops[0] == unpaired


def test_of_many_tasks_each_drop_must_be_surer() -> None:
    alone = said(event(99), event(55, task="task_1"), parent=[before(99)])
    names = [f"task_{n}" for n in range(1, 16)]
    scores = [event(55 if name == "task_1" else 99, task=name) for name in names]
    among = said(event(99), *scores, parent=[before(99, task=name) for name in names])
    assert among.drops[0].drop == alone.drops[0].drop
    assert among.drops[0].drop_low < alone.drops[0].drop_low


def test_many_small_drops_fail_together() -> None:
    names = [f"task_{n}" for n in range(1, 9)]
    scores = [event(80, task=name) for name in names]
    report = said(event(99), *scores, parent=[before(99, task=name) for name in names])
    assert rule(report, Rule.SINGLE_DROP).verdict is Verdict.PASSED
    assert rule(report, Rule.MEAN_DROP).verdict is Verdict.FAILED
    assert [finding.rule for finding in report.failures] == [Rule.MEAN_DROP]
    assert "8 earlier tasks lost 0.190 on average" in report.why


def test_a_gain_passes() -> None:
    report = said(event(99), event(99, task="task_1"), parent=[before(10)])
    assert report.verdict is Verdict.PASSED
    assert report.drops[0].drop == pytest.approx(-0.89)


def test_a_task_is_compared_by_the_metric_that_could_fall() -> None:
    fell = event(0, task="task_1", metric="token_f1", value=0.1, outcomes=(0.1,) * 100)
    was = before(0, metric="token_f1", value=0.8, outcomes=(0.8,) * 100)
    report = said(event(99), event(0, task="task_1"), fell, parent=[before(0), was])
    assert [drop.metric for drop in report.drops] == ["token_f1"]
    assert rule(report, Rule.SINGLE_DROP).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    "parent",
    [[], [before(99, task="task_2")], [before(9, rows=10)], [before(0, metric="perplexity", value=30.0)]],
    ids=["none", "another task's", "few rows", "no share"],
)
def test_what_cannot_be_compared_is_not_judged(parent: Sequence[Score]) -> None:
    report = said(event(99), event(0, rows=10, task="task_1"), parent=parent)
    for name in (Rule.SINGLE_DROP, Rule.MEAN_DROP):
        assert rule(report, name).verdict is Verdict.NOT_JUDGED


def test_the_general_text_is_no_task() -> None:
    general = event(0, task="", metric="perplexity", value=20.0).model_copy(update={"task_id": None})
    assert said(event(99, chance=0.1), general).verdict is Verdict.PASSED


def test_weights_that_cannot_be_stored_fail() -> None:
    report = said(event(99), delta=DELTA.model_copy(update={"non_finite": 3}))
    assert [finding.rule for finding in report.failures] == [Rule.FINITE_WEIGHTS]


def test_an_update_beyond_the_norm_bound_fails_and_is_named() -> None:
    large = DELTA.model_copy(update={"modules": {"v": ModuleSummary(shape=(2, 5), nnz=1, norm_ratio=1.5)}})
    report = said(event(99), delta=large, max_norm_ratio=1)
    assert [finding.rule for finding in report.failures] == [Rule.NORM_BOUND]
    assert "v changed by 1.5 times" in report.why
    assert said(event(99), delta=large).verdict is not Verdict.FAILED


def test_what_the_trainer_did_not_measure_is_not_judged() -> None:
    silent = DeltaSummary(format="sparse", nnz=1, density=0.1, size_bytes=10, modules={})
    report = said(event(99), delta=silent)
    assert report.verdict is Verdict.NOT_JUDGED
    assert {finding.verdict for finding in report.rules} == {Verdict.NOT_JUDGED}


def test_a_report_survives_json() -> None:
    report = said(event(10, chance=0.25), event(50, task="task_1"), parent=[before(99)], floor=0.5)
    assert GateReport.model_validate_json(report.model_dump_json()) == report


def test_a_policy_is_changed_field_by_field() -> None:
    policy = GatePolicy(floor=0.5, min_rows=30).overlaid(GatePolicy(max_single_drop=0.4))
    assert (policy.floor, policy.min_rows, policy.max_single_drop) == (0.5, 30, 0.4)
    assert policy.overlaid(GatePolicy(floor=None)).floor is None
    assert GatePolicy(floor=None).asked == {"floor": None}


@pytest.mark.parametrize(
    "field",
    [
        {"floor": 1.1},
        {"max_mean_drop": -0.1},
        {"max_single_drop": 2},
        {"min_rows": 0},
        {"confidence": 1},
        {"confidence": 0.4},
        {"max_norm_ratio": 0},
        {"max_norm_ratio": float("nan")},
        {"enabled": None},
        {"unheard_of": 1},
    ],
    ids=str,
)
def test_a_policy_that_makes_no_sense_is_refused(field: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GatePolicy.model_validate(field)

"""What the gate's verdict does to a version, its job and the ones that follow, on both databases."""

import judged
import pytest
import stage
from stage import PROJECT

from core.domain.errors import ConflictError
from core.domain.gate_report import Rule, Verdict
from core.domain.identifiers import new_id
from core.domain.jobs import JobState
from core.domain.policies import GatePolicy
from core.domain.records import Alias, Version
from core.domain.versions import VersionState
from core.registry import measures
from core.registry import models as model_rows
from core.registry.work import Registry
from core.services import gates, generation, jobs, lineages, models, promotions, tasks, versions
from core.services.promotions import Promotion

pytestmark = pytest.mark.usefixtures("desk")


def latest(registry: Registry) -> Version:
    with registry.read() as work:
        return versions.resolve(work, project_id=PROJECT, reference="desk:latest")


def promote(registry: Registry, version: Version) -> Alias:
    with registry.write() as work:
        wanted = Promotion(version=version.id, reason="I want it")
        return promotions.promote(work, project_id=PROJECT, model="desk", alias="stable", promotion=wanted)


@pytest.fixture
def good(registry: Registry) -> Version:
    version, _ = judged.learn(registry, "good", {"good": 58})
    return version


@pytest.fixture
def poisoned(registry: Registry, good: Version) -> Version:
    del good
    version, _ = judged.learn(registry, "poisoned", {"good": 57, "poisoned": 15})
    return version


def test_a_version_at_chance_is_rejected_and_kept_with_its_report(registry: Registry, good: Version) -> None:
    version, job = judged.learn(registry, "poisoned", {"good": 57, "poisoned": 15})

    assert (version.state, version.number, version.parent_id) == (VersionState.REJECTED, 2, good.id)
    report = gates.report_of(version)
    assert report is not None
    assert [finding.rule for finding in report.failures] == [Rule.ABOVE_CHANCE]
    assert latest(registry) == good
    with registry.read() as work:
        kept = measures.scores(work, [version.id])
        assert versions.get(work, project_id=PROJECT, version_id=version.id) == version
    assert sorted(score.value for score in kept) == [0.25, 0.95]
    assert (job.state, job.error_code, job.result_version_id) == (JobState.REJECTED, "gate_rejected", version.id)
    assert job.error_detail is not None
    assert "above_chance: exact_match is 0.250 on 60 rows" in job.error_detail
    with registry.read() as work:
        told = jobs.events(work, project_id=PROJECT, job_id=job.id).data[-1]
    assert (told.to_state, told.data["code"], told.data["number"]) == (JobState.REJECTED, "gate_rejected", 2)


def test_a_version_that_forgets_too_much_is_rejected(registry: Registry, good: Version) -> None:
    version, job = judged.learn(registry, "contradiction", {"good": 3, "contradiction": 58})
    assert version.state is VersionState.REJECTED
    assert job.error_detail is not None
    assert "good went from 0.967 to 0.050" in job.error_detail
    assert latest(registry) == good


def test_a_good_version_passes_and_its_report_says_by_what(good: Version) -> None:
    report = gates.report_of(good)
    assert report is not None
    assert (report.verdict, report.policy) == (Verdict.PASSED, GatePolicy())
    assert good.state is VersionState.READY


def test_the_next_task_builds_on_the_last_good_head(registry: Registry, good: Version, poisoned: Version) -> None:
    third, job = judged.learn(registry, "third", {"good": 57, "third": 50}, expected_parent=good.id)
    assert (third.state, third.parent_id, third.number) == (VersionState.READY, good.id, 3)
    assert third.chain == (good.id, third.id)
    assert poisoned.id not in third.chain
    assert latest(registry) == third
    assert job.state is JobState.SUCCEEDED


def test_a_job_that_was_queued_behind_a_rejected_one_starts_from_the_good_head(
    registry: Registry, good: Version
) -> None:
    stage.submit(registry, "poisoned")
    _, behind = stage.submit(registry, "behind", expected_parent=good.id)
    judged.finish(registry, {"good": 57, "poisoned": 10})
    version = judged.finish(registry, {"good": 57, "behind": 58})
    assert version.parent_id == good.id
    assert stage.look(registry, behind).state is JobState.SUCCEEDED


def test_a_rejected_version_never_answers(registry: Registry, poisoned: Version) -> None:
    with pytest.raises(ConflictError, match="the gate rejected it"):
        promote(registry, poisoned)
    with pytest.raises(ConflictError, match="rejected"), registry.read() as work:
        versions.servable(work, version_id=poisoned.id)
    with pytest.raises(ConflictError, match="rejected"), registry.read() as work:
        generation.plan(work, project_id=PROJECT, request={"model": "desk@2", "prompt": "?"})
    with registry.read() as work:
        assert poisoned.id not in {each.served.version.id for each in versions.serving(work)}


def test_a_rejected_version_can_be_deleted(registry: Registry, poisoned: Version) -> None:
    with registry.write() as work:
        promotions.delete(work, project_id=PROJECT, reference=poisoned.id)
    assert judged.learn(registry, "next", {"good": 57, "next": 55})[0].number == 3


def test_after_a_change_of_the_policy_a_retry_is_judged_anew(registry: Registry, good: Version) -> None:
    _, job = judged.learn(registry, "rough", {"good": 30, "rough": 55})
    assert job.state is JobState.REJECTED
    wider = GatePolicy(max_single_drop=0.6, max_mean_drop=0.6)
    with registry.write() as work:
        models.change_gate(work, project_id=PROJECT, reference="desk", gate=wider)
        again = jobs.retry(work, project_id=PROJECT, job_id=job.id, dispatcher=stage.Wakes())
    version = judged.finish(registry, {"good": 30, "rough": 55})
    assert (version.state, version.parent_id, again.retry_of) == (VersionState.READY, good.id, job.id)
    report = gates.report_of(version)
    assert report is not None
    assert (report.policy.max_single_drop, report.policy.min_rows) == (0.6, 20)
    assert latest(registry) == version


def test_a_task_asks_for_more_or_less_than_its_model(registry: Registry) -> None:
    with registry.write() as work:
        models.change_gate(work, project_id=PROJECT, reference="desk", gate=GatePolicy(floor=0.5, min_rows=10))
    strict, _ = judged.learn(registry, "strict", {"strict": 50}, spec={"gate": {"floor": 0.9}})
    lenient, _ = judged.learn(registry, "lenient", {"lenient": 26}, spec={"gate": {"floor": None}})
    off, _ = judged.learn(registry, "off", {"off": 0}, spec={"gate": {"enabled": False}})
    assert [each.state for each in (strict, lenient, off)] == ["rejected", "ready", "ready"]
    assert gates.verdict_of(off) is Verdict.NOT_JUDGED
    with registry.read() as work:
        shown = tasks.get(work, project_id=PROJECT, task_id=str(strict.task_id)).spec["gate"]
    assert (shown["floor"], shown["min_rows"], shown["max_mean_drop"]) == (0.9, 10, 0.1)


def test_a_change_of_the_policy_is_told_once(registry: Registry) -> None:
    for _ in range(2):
        with registry.write() as work:
            changed = models.change_gate(work, project_id=PROJECT, reference="desk", gate=GatePolicy(floor=0.5))
    assert changed.policy["gate"]["floor"] == 0.5
    assert changed.policy["store_rows"] is False
    with registry.read() as work:
        told = list(lineages.describe(work, project_id=PROJECT, model="desk").events)
    assert [each.data for each in told if each.kind == "policy_changed"] == [{"gate": {"floor": 0.5}}]


def test_an_alias_remembers_what_the_gate_said(registry: Registry, good: Version, poisoned: Version) -> None:
    del poisoned
    promote(registry, good)
    with registry.read() as work:
        moves = versions.alias_history(work, project_id=PROJECT, model="desk", alias="stable")
        verdicts = versions.verdicts(work, {move.to_version_id for move in moves})
    assert [verdicts[move.to_version_id] for move in moves] == [None, Verdict.PASSED]


def test_a_model_of_an_earlier_release_gets_the_default_gate(registry: Registry) -> None:
    with registry.write() as work:
        model = models.get(work, project_id=PROJECT, reference="desk")
        model_rows.set_policy(work, model.id, policy={"store_rows": False})
    assert judged.learn(registry, "poisoned", {"poisoned": 15})[1].error_code == "gate_rejected"


def test_a_rejected_version_moves_with_its_model(registry: Registry, poisoned: Version) -> None:
    with registry.read() as work:
        document = lineages.describe(work, project_id=PROJECT, model="desk")
    with registry.write() as work:
        model_id = new_id("mdl")
        moved = lineages.install(work, document, project_id=PROJECT, model_id=model_id, name="moved", dataset_ids={})
    with registry.read() as work:
        there = versions.resolve(work, project_id=PROJECT, reference="moved@2")
        job = jobs.get(work, project_id=PROJECT, job_id=str(there.job_id))
    assert (moved.name, there.state, job.state) == ("moved", VersionState.REJECTED, JobState.REJECTED)
    assert job.error_code == "gate_rejected"
    assert gates.why(there) == gates.why(poisoned) == job.error_detail

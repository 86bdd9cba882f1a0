"""Leaving tasks out: what is asked, claimed and published, and what a rebuilt version stands on."""

from typing import Any

import pytest
import stage
from rebuilding import ask, manifest_of, publish, rebuild, resolve, task_ids
from stage import PROJECT, Wakes

from core.domain.errors import ConflictError, CorruptError, InvalidError, MissingError, QuotaError, StrataError
from core.domain.jobs import JobKind, JobState
from core.domain.records import Version
from core.registry.work import Registry, Work
from core.services import (
    evaluations,
    jobs,
    projects,
    promotions,
    publication,
    rebuild_accounts,
    rebuild_plans,
    rebuilds,
    retention,
    versions,
)
from core.services.promotions import Promotion
from core.services.rebuilds import RebuildRequest

SCORES = {"a": 0.5, "b": 0.75, "c": 1.0}


@pytest.fixture
def desk(registry: Registry) -> Registry:
    """A model `desk` that learned a, b and c, each version scored on all so far."""
    stage.ready_base(registry)
    stage.new_model(registry)
    for n, name in enumerate(SCORES, start=1):
        stage.learn(registry, name, scores=dict(list(SCORES.items())[:n]))
    return registry


def test_a_rebuilt_version_stands_on_the_others_and_latest_moves_to_it(desk: Registry) -> None:
    first, _, third = (resolve(desk, f"desk@{n}") for n in (1, 2, 3))
    job = ask(desk, "b")
    assert (job.kind, job.state, job.task_id) == (JobKind.REBUILD, JobState.QUEUED, None)

    with desk.write() as work:
        held = stage.claim(work)
        assert held.parent_version_id == third.id
        plan = rebuild_plans.build(work, job=held)
        made = publish(work, held)

    assert [task.name for task in plan.tasks] == ["a", "b", "c"]
    assert [link.version_id for link in plan.links] == list(third.chain)
    assert plan.left_out == (third.chain[1],)
    assert (made.number, made.parent_id, made.task_id) == (4, third.id, None)
    assert made.chain == (first.id, third.id, made.id)
    assert resolve(desk) == made
    assert stage.look(desk, job).result_version_id == made.id


def test_a_task_learns_on_top_and_more_is_left_out_of_that(desk: Registry) -> None:
    rebuilt = rebuild(desk, "b")
    fourth = stage.learn(desk, "d")
    assert fourth.chain == (*rebuilt.chain, fourth.id)

    again = rebuild(desk, "a", "d")

    third = resolve(desk, "desk@3")
    assert again.chain == (third.id, rebuilt.id, again.id)
    with desk.read() as work:
        account = rebuild_accounts.of_version(work, again)
    assert account is not None
    assert [task.task for task in account.left_out] == ["a", "d"]
    assert account.learned_on_top == ("c",)


@pytest.mark.parametrize(
    ("leave_out", "loc", "message"),
    [
        (["a", "a"], ("leave_out", 1), "is given twice"),
        (["c", "a", "b"], ("leave_out",), "leaves no task"),
        (["waiting"], ("leave_out", 0), "is not a task that the version has learned"),
        (["a", "abroad"], ("leave_out", 1), "the model has no such task"),
    ],
)
def test_what_cannot_be_left_out_is_refused_with_its_place(
    leave_out: list[str], loc: tuple[Any, ...], message: str, desk: Registry
) -> None:
    stage.submit(desk, "waiting")
    stage.new_model(desk, "other")
    stage.submit(desk, "abroad", model="other")
    with pytest.raises((InvalidError, MissingError)) as refused:
        ask(desk, *leave_out)
    (place,) = refused.value.places
    assert (place.loc, place.message) == (loc, message)


def test_a_task_is_named_by_its_name_or_id_once(desk: Registry) -> None:
    with desk.read() as work:
        ids = task_ids(work)
    with pytest.raises(InvalidError, match="twice"):
        ask(desk, "a", ids["a"])
    assert ask(desk, ids["a"]).params["left_out"] == [ids["a"]]


def test_another_projects_task_is_like_one_that_is_not_there(desk: Registry) -> None:
    with desk.write() as work:
        stranger = projects.ensure_named(work, name="stranger").id
    told = []
    with desk.read() as work:
        known = task_ids(work)["a"]
    for project_id, reference in ((stranger, "desk"), (PROJECT, "nothing")):
        request = RebuildRequest(model=reference, leave_out=[known])
        with pytest.raises(MissingError) as refused, desk.write() as work:
            rebuilds.submit(work, project_id=project_id, request=request, dispatcher=Wakes())
        told.append((refused.value.code, refused.value.detail))
    assert told[0] == told[1]


def test_tasks_are_left_out_of_an_earlier_version_and_latest_stays(desk: Registry) -> None:
    head, second = resolve(desk), resolve(desk, "desk@2")
    made = rebuild(desk, "a", version="2")
    assert (made.parent_id, made.chain) == (second.id, (second.id, made.id))
    assert resolve(desk) == head


def test_a_rebuilt_version_is_kept_aside_on_request(desk: Registry) -> None:
    head = resolve(desk)
    made = rebuild(desk, "b", promote=False)
    assert (made.parent_id, resolve(desk)) == (head.id, head)
    with desk.write() as work:
        promotions.promote(
            work, project_id=PROJECT, model="desk", alias="latest", promotion=Promotion(version="4", reason="looked at")
        )
    assert resolve(desk) == made


def test_tasks_that_were_queued_before_are_in_the_version_that_is_built(desk: Registry) -> None:
    stage.submit(desk, "d")
    ask(desk, "b")
    with desk.write() as work:
        fourth = stage.publish(work, stage.claim(work))
        made = publish(work, stage.claim(work))
    assert made.chain == (*fourth.chain[:1], *fourth.chain[2:], made.id)


def test_what_a_waiting_rebuild_was_asked_of_is_not_deleted(desk: Registry) -> None:
    ask(desk, "a", version="2")
    third = resolve(desk)
    with desk.write() as work:
        promotions.promote(
            work, project_id=PROJECT, model="desk", alias="latest", promotion=Promotion(version="1", reason="")
        )
        promotions.delete(work, project_id=PROJECT, reference=third.id)
        with pytest.raises(ConflictError) as kept:
            promotions.delete(work, project_id=PROJECT, reference="desk@2")
    assert kept.value.code == "version_in_use"


def test_what_a_rebuilt_version_stands_on_is_kept(desk: Registry) -> None:
    made = rebuild(desk, "b")
    with desk.read() as work:
        named = {version.artefact for version in (*versions_of(work), made) if version.artefact}
        assert retention.unnamed_artefacts(work, {str(key) for key in named}) == set()
    with pytest.raises(ConflictError), desk.write() as work:
        promotions.delete(work, project_id=PROJECT, reference="desk@3")


def versions_of(work: Work) -> list[Version]:
    return list(versions.page(work, project_id=PROJECT, model="desk").data)


def test_a_rollback_past_the_task_ends_the_waiting_job(desk: Registry) -> None:
    ask(desk, "c")
    with desk.write() as work:
        promotions.promote(
            work, project_id=PROJECT, model="desk", alias="latest", promotion=Promotion(version="2", reason="")
        )
        held = stage.claim(work)
        with pytest.raises(ConflictError) as late:
            rebuild_plans.build(work, job=held)
    assert late.value.code == "parent_conflict"


def test_a_job_that_expects_another_head_fails_when_its_turn_comes(desk: Registry) -> None:
    stage.submit(desk, "d")
    job = ask(desk, "b", expected_parent=resolve(desk).id)
    with pytest.raises(ConflictError, match="latest now names"):
        ask(desk, "b", expected_parent=resolve(desk, "desk@2").id)
    with desk.write() as work:
        stage.publish(work, stage.claim(work))
        assert jobs.claim(work, owner="worker", lease_seconds=60) is None
    assert stage.look(desk, job).error_code == "parent_conflict"


@pytest.mark.parametrize("change", [{"chain": ()}, {"provenance": "of another"}])
def test_an_artefact_of_another_chain_or_choice_is_refused(change: dict[str, Any], desk: Registry) -> None:
    ask(desk, "b")
    with desk.write() as work:
        job = stage.claim(work)
        if "provenance" in change:
            told = manifest_of(work, job).provenance
            change = {"provenance": told.model_copy(update={"left_out": ()})}
        with pytest.raises(CorruptError):
            publish(work, job, **change)


def test_a_damaged_version_gives_way_to_one_that_does_not_know_the_task(desk: Registry) -> None:
    made = rebuild(desk, "b")
    with desk.write() as work:
        publication.mark_corrupt(work, version_id=made.id, reason="a byte")
    assert resolve(desk) == resolve(desk, "desk@1")


def test_damage_of_what_was_left_out_does_no_harm(desk: Registry) -> None:
    made = rebuild(desk, "b")
    with desk.write() as work:
        publication.mark_corrupt(work, version_id=resolve(desk, "desk@2").id, reason="a byte")
    assert resolve(desk) == made
    assert stage.learn(desk, "d").parent_id == made.id


def test_a_cancelled_rebuild_is_retried_as_it_was_asked(desk: Registry) -> None:
    job = ask(desk, "a", version="2", promote=False, timeout_seconds=60)
    with desk.write() as work:
        jobs.cancel(work, project_id=PROJECT, job_id=job.id)
    with desk.write() as work:
        again = jobs.retry(work, project_id=PROJECT, job_id=job.id, dispatcher=Wakes())
    assert (again.kind, again.retry_of) == (JobKind.REBUILD, job.id)
    assert {**again.params, "version_id": None} == {**job.params, "version_id": None}
    with desk.write() as work:
        held = stage.claim(work)
        assert held.parent_version_id == resolve(desk, "desk@2").id
        assert held.deadline_ms == (held.started_ms or 0) + 60_000


def test_a_rebuild_counts_among_the_open_jobs(desk: Registry) -> None:
    with desk.write() as work:
        projects.set_quotas(work, project_id=PROJECT, reference=PROJECT, quotas={"max_open_jobs": 1})
    ask(desk, "a")
    with pytest.raises(QuotaError):
        ask(desk, "b")


def test_nothing_is_queued_on_a_version_that_is_not_ready(desk: Registry) -> None:
    with desk.write() as work:
        publication.mark_corrupt(work, version_id=resolve(desk).id, reason="a byte")
    with pytest.raises(StrataError) as refused:
        ask(desk, "a", version="3")
    assert refused.value.code == "wrong_state"


def test_what_was_lost_is_told_task_by_task(desk: Registry) -> None:
    ask(desk, "b")
    with desk.write() as work:
        ids = task_ids(work)
        after = {"a": 0.25, "b": 0.125, "c": 1.0}
        made = publish(work, stage.claim(work), [stage.result(ids[name], value) for name, value in after.items()])
    with desk.read() as work:
        account = rebuild_accounts.of_version(work, made)
        assert rebuild_accounts.of_version(work, resolve(desk, "desk@3")) is None
    assert account is not None
    assert [(line.task, line.left_out, line.before, line.after, line.difference) for line in account.comparison] == [
        ("a", False, 0.5, 0.25, -0.25),
        ("b", True, 0.75, 0.125, -0.625),
        ("c", False, 1.0, 1.0, 0.0),
    ]
    assert account.traces_in == ("input_moments",)


def test_the_matrix_tells_of_what_was_left_out_and_counts_the_others(desk: Registry) -> None:
    ask(desk, "b")
    with desk.write() as work:
        ids = task_ids(work)
        after = {"a": 0.25, "b": 0.125, "c": 0.75}
        publish(work, stage.claim(work), [stage.result(ids[name], value) for name, value in after.items()])
    with desk.read() as work:
        found = evaluations.matrix(work, project_id=PROJECT, model="desk")
    assert (found.tasks, found.left_out, found.learned_in) == (("a", "b", "c"), (False, True, False), (0, 1, 2))
    assert found.numbers == (1, 2, 3, 4)
    assert found.scores[2:] == ((0.5, 0.75, 1.0), (0.25, 0.125, 0.75))
    assert (found.oa, found.bwt, found.plasticity) == (0.5, -0.25, 0.75)

    stage.learn(desk, "d", scores={"a": 0.5, "c": 0.5, "d": 1.0})

    with desk.read() as work:
        found = evaluations.matrix(work, project_id=PROJECT, model="desk")
    assert (found.tasks, found.learned_in) == (("a", "b", "c", "d"), (0, 1, 2, 4))
    assert found.scores[-1] == (0.5, None, 0.5, 1.0)
    assert (found.oa, found.bwt) == (pytest.approx(2 / 3), -0.25)

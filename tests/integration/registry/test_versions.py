import pytest
from stage import (
    FACTS,
    PROJECT,
    artefact_of,
    claimed,
    fence_of,
    learn,
    manifest_of,
    new_model,
    publish,
    ready_base,
    result,
    submit,
)

from core.domain.errors import ConflictError, CorruptError, IllegalMoveError, MissingError
from core.domain.jobs import JobState
from core.domain.manifest import Provenance
from core.domain.records import Model, Version
from core.domain.versions import VersionState
from core.registry import aliases as alias_rows
from core.registry import models as model_rows
from core.registry.work import Registry
from core.services import evaluations, jobs, trainer_specs, versions

pytestmark = pytest.mark.usefixtures("desk")


def resolve(registry: Registry, reference: str) -> Version:
    with registry.read() as work:
        return versions.resolve(work, project_id=PROJECT, reference=reference)


def test_a_new_model_answers_by_its_base(registry: Registry, desk: Model) -> None:
    zero = resolve(registry, "desk")
    assert (zero.number, zero.chain, zero.digest, zero.state) == (0, (), FACTS.digest, VersionState.READY)
    with registry.read() as work:
        assert [alias.name for alias in versions.aliases(work, project_id=PROJECT, model=desk.id)] == [
            "latest",
            "stable",
        ]


def test_versions_count_from_one_and_chain(registry: Registry) -> None:
    one, two = learn(registry, "a"), learn(registry, "b")
    assert (one.number, two.number) == (1, 2)
    assert (one.chain, two.chain) == ((one.id,), (one.id, two.id))
    assert two.parent_id == one.id
    assert two.delta == {"format": "sparse", "nnz": 25, "density": 0.25, "size_bytes": 100}
    with registry.read() as work:
        history = versions.alias_history(work, project_id=PROJECT, model="desk", alias="latest")
        assert [move.to_version_id for move in history] == [one.parent_id, one.id, two.id]
        assert [move.reason for move in history] == ["created", "published", "published"]
        entries = versions.lineage(work, project_id=PROJECT, model="desk")
    assert [(entry.version.number, entry.task_name, entry.aliases) for entry in entries] == [
        (0, None, ("stable",)),
        (1, "a", ()),
        (2, "b", ("latest",)),
    ]


def test_a_version_is_found_by_every_kind_of_reference(registry: Registry, desk: Model) -> None:
    one = learn(registry, "a")
    for reference in ("desk", "desk@1", "desk:latest", desk.id, f"{desk.id}@1", f"{desk.id}:latest", one.id):
        assert resolve(registry, reference) == one
    assert resolve(registry, "desk:stable").number == 0


def test_a_reference_to_nothing_is_missing(registry: Registry) -> None:
    for reference, code in (
        ("nobody", "model_not_found"),
        ("nobody@1", "model_not_found"),
        ("", "model_not_found"),
        ("desk@9", "version_not_found"),
        ("desk@-1", "version_not_found"),
        ("desk@²", "version_not_found"),
        ("desk@" + "9" * 30, "version_not_found"),
        ("desk:best", "alias_not_found"),
        ("ver_0", "version_not_found"),
    ):
        with pytest.raises(MissingError) as missing:
            resolve(registry, reference)
        assert missing.value.code == code


def test_another_projects_version_does_not_exist(registry: Registry) -> None:
    one = learn(registry, "a")
    with pytest.raises(MissingError), registry.read() as work:
        versions.get(work, project_id="prj_other", version_id=one.id)


def test_versions_are_listed_by_cursor(registry: Registry) -> None:
    learn(registry, "a")
    learn(registry, "b")
    with registry.read() as work:
        newest = versions.page(work, project_id=PROJECT, model="desk", limit=2)
        assert ([each.number for each in newest.data], newest.has_more) == ([2, 1], True)
        assert newest.data[0].chain == (newest.data[1].id, newest.data[0].id)


def test_a_plan_names_all_that_a_trainer_needs(registry: Registry, desk: Model) -> None:
    one = learn(registry, "a")
    task, _ = submit(registry, "b", spec={"training": {"seed": 7}})
    held = claimed(registry)
    with registry.read() as work:
        plan = trainer_specs.build(work, job=held)
    assert (plan.base_path, plan.base_digest) == ("/base/tiny", FACTS.digest)
    assert [(link.version_id, link.artefact) for link in plan.chain] == [(one.id, one.artefact)]
    assert (plan.parent_version_id, plan.parent_digest) == (one.id, one.digest)
    assert [each.name for each in plan.tasks] == ["a", "b"]
    assert plan.recipe["training"]["seed"] == 7
    assert plan.provenance == {
        "project_id": PROJECT,
        "model_id": desk.id,
        "task_id": task.id,
        "job_id": held.id,
        "fence": held.fence,
        "parent_version_id": one.id,
    }


def test_an_artefact_of_another_job_is_refused_and_leaves_nothing(registry: Registry) -> None:
    submit(registry, "a")
    held = claimed(registry)
    with registry.read() as work:
        good = manifest_of(work, held)
    stranger = Provenance.model_validate({**good.provenance.model_dump(), "fence": fence_of(held) + 1})
    for manifest, artefact in (
        (good.model_copy(update={"provenance": stranger}), artefact_of(held)),
        (good.model_copy(update={"chain": ("0" * 64,)}), artefact_of(held)),
        (good, artefact_of(held).replace("versions/", "elsewhere/")),
        (good, artefact_of(held).replace(PROJECT, "prj_other")),
    ):
        with pytest.raises(CorruptError), registry.write() as work:
            versions.publish(
                work, job_id=held.id, fence=fence_of(held), manifest=manifest, scores=[], artefact=artefact
            )
    with registry.read() as work:
        assert jobs.get(work, project_id=PROJECT, job_id=held.id).state is JobState.RUNNING
    with registry.write() as work:
        assert publish(work, held).number == 1


def test_latest_stays_where_a_rollback_put_it_during_the_training(registry: Registry, desk: Model) -> None:
    learn(registry, "a")
    submit(registry, "b")
    held = claimed(registry)
    zero = resolve(registry, "desk@0")
    with registry.write() as work:
        model_rows.lock(work, desk.id)
        alias_rows.point(work, name="latest", at=zero, actor="user", reason="rollback")
    with registry.write() as work:
        assert publish(work, held).number == 2
    assert resolve(registry, "desk") == zero


def test_a_corrupt_version_hands_its_aliases_to_the_last_ready_ancestor(registry: Registry) -> None:
    one, two, three = (learn(registry, name) for name in "abc")
    with registry.write() as work:
        versions.mark_corrupt(work, version_id=two.id, reason="digest")
    assert resolve(registry, "desk") == three
    with registry.write() as work:
        marked = versions.mark_corrupt(work, version_id=three.id, reason="canary")
        assert marked.state is VersionState.CORRUPT
        assert versions.mark_corrupt(work, version_id=three.id, reason="again") == marked
    assert resolve(registry, "desk") == one
    with registry.read() as work:
        last = versions.alias_history(work, project_id=PROJECT, model="desk", alias="latest")[-1]
    assert (last.from_version_id, last.to_version_id, last.actor) == (three.id, one.id, "engine")
    assert last.reason == "corrupt: canary"


def test_the_base_version_cannot_be_marked_corrupt(registry: Registry) -> None:
    with pytest.raises(IllegalMoveError), registry.write() as work:
        versions.mark_corrupt(work, version_id=resolve(registry, "desk@0").id, reason="x")


def test_nothing_is_published_on_a_parent_that_went_corrupt(registry: Registry) -> None:
    one = learn(registry, "a")
    submit(registry, "b")
    held = claimed(registry)
    with registry.read() as work:
        manifest = manifest_of(work, held)
    with registry.write() as work:
        versions.mark_corrupt(work, version_id=one.id, reason="digest")
    with pytest.raises(ConflictError) as refused, registry.write() as work:
        versions.publish(
            work, job_id=held.id, fence=fence_of(held), manifest=manifest, scores=[], artefact=artefact_of(held)
        )
    assert refused.value.code == "parent_conflict"
    with pytest.raises(ConflictError), registry.read() as work:
        trainer_specs.build(work, job=held)


def test_the_engine_is_told_every_alias_with_its_chain(registry: Registry, desk: Model) -> None:
    one = learn(registry, "a")
    with registry.read() as work:
        told = {each.alias: each for each in versions.serving(work)}
        alone = versions.servable(work, version_id=one.id)
    assert told["latest"].model_id == desk.id
    assert told["latest"].served == alone
    assert alone.version == one
    assert (alone.base_path, alone.base_digest) == ("/base/tiny", FACTS.digest)
    assert [(link.version_id, link.artefact, link.manifest_sha256) for link in alone.chain] == [
        (one.id, one.artefact, one.manifest_sha256)
    ]
    assert told["stable"].served.chain == ()


def test_a_corrupt_version_cannot_be_served(registry: Registry) -> None:
    one = learn(registry, "a")
    with registry.write() as work:
        versions.mark_corrupt(work, version_id=one.id, reason="digest")
    with pytest.raises(ConflictError), registry.read() as work:
        versions.servable(work, version_id=one.id)
    with pytest.raises(MissingError), registry.read() as work:
        versions.servable(work, version_id="ver_0")


def test_the_matrix_holds_scores_and_the_figures_drawn_from_them(registry: Registry) -> None:
    task_a, _ = submit(registry, "a")
    held = claimed(registry)
    measured = [
        result(task_a.id, 0.1, subject="base"),
        result(task_a.id, 0.4, subject="base", metric="option_likelihood"),
        result(task_a.id, 0.9),
    ]
    with registry.write() as work:
        publish(work, held, measured)
    learn(registry, "b", scores={"a": 0.8, "b": 1.0})
    learn(registry, "c", scores={"a": 0.7, "b": 0.95, "c": 0.9})
    with registry.read() as work:
        found = evaluations.matrix(work, project_id=PROJECT, model="desk")
    assert found.tasks == ("a", "b", "c")
    assert found.scores == ((0.9, None, None), (0.8, 1.0, None), (0.7, 0.95, 0.9))
    assert found.base_scores == (0.1, None, None)
    assert found.base_option_scores == (0.4, None, None)
    assert found.oa == pytest.approx((0.7 + 0.95 + 0.9) / 3)
    assert found.bwt == pytest.approx((-0.2 - 0.05) / 2)
    assert found.forgetting == pytest.approx((0.2 + 0.05) / 2)
    assert found.plasticity == pytest.approx((0.9 + 1.0 + 0.9) / 3)
    assert found.density == (0.25, 0.25, 0.25)


def test_the_matrix_of_a_new_model_is_empty(registry: Registry) -> None:
    with registry.read() as work:
        found = evaluations.matrix(work, project_id=PROJECT, model="desk")
    assert (found.tasks, found.scores, found.oa, found.bwt) == ((), (), None, None)


def test_models_of_one_base_keep_their_own_numbers(registry: Registry) -> None:
    ready_base(registry, "second")
    new_model(registry, "other")
    learn(registry, "a")
    assert learn(registry, "a", model="other").number == 1

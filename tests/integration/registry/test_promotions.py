import pytest
from sqlalchemy import update
from stage import PROJECT, claimed, fence_of, learn, new_model, publish, submit

from core.domain.errors import ConflictError, InvalidError, MissingError, PreconditionError
from core.domain.records import Alias, Version
from core.domain.versions import VersionState
from core.registry.tables import VERSION
from core.registry.work import Registry
from core.services import jobs, promotions, versions
from core.services.promotions import Promotion

pytestmark = pytest.mark.usefixtures("desk")


def promote(registry: Registry, version: str, *, alias: str = "stable", expected: str | None = None) -> Alias:
    with registry.write() as work:
        wish = Promotion(version=version, reason="looks good", expected=expected)
        return promotions.promote(work, project_id=PROJECT, model="desk", alias=alias, promotion=wish)


def rollback(registry: Registry, version: str | None = None) -> Alias:
    with registry.write() as work:
        wish = Promotion(version=version, reason="a bad day")
        return promotions.rollback(work, project_id=PROJECT, model="desk", promotion=wish)


def delete(registry: Registry, version: Version) -> Version:
    with registry.write() as work:
        return promotions.delete(work, project_id=PROJECT, reference=version.id)


def history(registry: Registry, alias: str) -> list[tuple[str, str]]:
    with registry.read() as work:
        moves = versions.alias_history(work, project_id=PROJECT, model="desk", alias=alias)
    return [(move.to_version_id, move.reason) for move in moves]


@pytest.mark.parametrize("reference", ["1", "desk@1", "id"])
def test_an_alias_is_promoted_with_its_reason(registry: Registry, reference: str) -> None:
    one = learn(registry, "a")
    moved = promote(registry, one.id if reference == "id" else reference)
    assert (moved.version_id, moved.moves) == (one.id, 2)
    assert history(registry, "stable")[-1] == (one.id, "looks good")


def test_promoting_what_is_named_already_is_no_move(registry: Registry) -> None:
    learn(registry, "a")
    assert promote(registry, "desk@1") == promote(registry, "desk@1")


def test_an_unknown_alias_is_made(registry: Registry) -> None:
    one = learn(registry, "a")
    assert promote(registry, "1", alias="friday").version_id == one.id
    with pytest.raises(InvalidError):
        promote(registry, "1", alias="Not a name")


def test_an_alias_that_moved_meanwhile_is_not_promoted(registry: Registry) -> None:
    one = learn(registry, "a")
    with pytest.raises(PreconditionError):
        promote(registry, "1", expected=one.id)
    with pytest.raises(PreconditionError):
        promote(registry, "1", alias="new", expected=one.id)
    zero = history(registry, "stable")[-1][0]
    assert promote(registry, "1", expected=zero).version_id == one.id


@pytest.mark.parametrize("state", [VersionState.REJECTED, VersionState.CORRUPT, VersionState.DELETED])
def test_what_is_not_ready_is_not_promoted(registry: Registry, state: VersionState) -> None:
    learn(registry, "a")
    two = learn(registry, "b")
    learn(registry, "c")
    with registry.write() as work:
        work.connection.execute(update(VERSION).where(VERSION.c.id == two.id).values(state=state))
    for reference in ("2", "3"):
        with pytest.raises(ConflictError) as refused:
            promote(registry, reference)
        assert refused.value.code == "wrong_state"
    with registry.write() as work:
        work.connection.execute(update(VERSION).where(VERSION.c.id == two.id).values(state=VersionState.READY))


def test_a_version_of_another_model_or_none_is_not_promoted(registry: Registry) -> None:
    new_model(registry, "other")
    learn(registry, "a", model="other")
    with pytest.raises(InvalidError):
        promote(registry, "other@1")
    with pytest.raises(MissingError):
        promote(registry, "7")


def test_after_a_rollback_the_next_task_starts_from_there(registry: Registry) -> None:
    one = learn(registry, "a")
    learn(registry, "b")
    assert rollback(registry).version_id == one.id
    assert history(registry, "latest")[-1] == (one.id, "a bad day")
    three = learn(registry, "c")
    assert (three.number, three.parent_id, three.chain) == (3, one.id, (one.id, three.id))


def test_a_rollback_may_go_to_any_chain(registry: Registry) -> None:
    learn(registry, "a")
    two = learn(registry, "b")
    rollback(registry, "1")
    learn(registry, "c")
    assert rollback(registry, "2").version_id == two.id


def test_nothing_lies_before_the_base(registry: Registry) -> None:
    with pytest.raises(ConflictError):
        rollback(registry)


def test_a_rollback_while_a_job_publishes_stands(registry: Registry) -> None:
    one = learn(registry, "a")
    learn(registry, "b")
    submit(registry, "c")
    held = claimed(registry)
    rollback(registry, "1")
    with registry.write() as work:
        publish(work, held)
    assert history(registry, "latest")[-1][0] == one.id


def test_an_alias_is_removed_but_never_latest(registry: Registry) -> None:
    learn(registry, "a")
    promote(registry, "1", alias="friday")
    with registry.write() as work:
        promotions.remove_alias(work, project_id=PROJECT, model="desk", alias="friday")
    with pytest.raises(MissingError), registry.write() as work:
        promotions.remove_alias(work, project_id=PROJECT, model="desk", alias="friday")
    with pytest.raises(ConflictError) as refused, registry.write() as work:
        promotions.remove_alias(work, project_id=PROJECT, model="desk", alias="latest")
    assert refused.value.code == "alias_required"
    assert promote(registry, "1", alias="friday").moves == 1


def test_a_version_that_nothing_needs_is_deleted_once(registry: Registry) -> None:
    learn(registry, "a")
    two = learn(registry, "b")
    rollback(registry)
    gone = delete(registry, two)
    assert gone.state is VersionState.DELETED
    assert delete(registry, two) == gone
    assert learn(registry, "c").number == 3


def test_what_an_alias_names_or_a_version_stands_on_is_not_deleted(registry: Registry) -> None:
    one = learn(registry, "a")
    two = learn(registry, "b")
    rollback(registry, "0")
    with pytest.raises(ConflictError) as refused:
        delete(registry, one)
    assert refused.value.code == "version_in_use"
    promote(registry, "2")
    with pytest.raises(ConflictError, match="stable"):
        delete(registry, two)
    promote(registry, "0")
    delete(registry, two)
    assert delete(registry, one).state is VersionState.DELETED


def test_what_an_open_job_starts_from_is_not_deleted(registry: Registry) -> None:
    one = learn(registry, "a")
    submit(registry, "b")
    held = claimed(registry)
    rollback(registry, "0")
    with pytest.raises(ConflictError, match="job"):
        delete(registry, one)
    with registry.write() as work:
        jobs.pause(work, project_id=PROJECT, job_id=held.id)
        jobs.confirm_paused(work, job_id=held.id, fence=fence_of(held))
    with pytest.raises(ConflictError, match="job"):
        delete(registry, one)


def test_the_base_of_a_model_is_not_deleted(registry: Registry) -> None:
    learn(registry, "a")
    with registry.read() as work:
        zero = versions.resolve(work, project_id=PROJECT, reference="desk@0")
    promote(registry, "1")
    with pytest.raises(ConflictError, match="base"):
        delete(registry, zero)

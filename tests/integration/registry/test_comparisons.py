"""What is said of a version's scores, alone and beside another's."""

import math

import pytest
from stage import PROJECT, claim, claimed, new_model, publish, ready_base, result, submit

from core.domain.errors import InvalidError, MissingError
from core.domain.job_folder import ScoreEvent
from core.registry.work import Registry
from core.services import comparisons

pytestmark = pytest.mark.usefixtures("desk")

GENERAL = {"metric": "perplexity", "sizes": [8, 12]}


def told(task_id: str | None, outcomes: list[float], *, rows: str = "a", **values: object) -> ScoreEvent:
    known = {"subject": "result", "task_id": task_id, "metric": "exact_match", "n_rows": len(outcomes)}
    mean = sum(outcomes) / len(outcomes)
    return ScoreEvent.model_validate({**known, "value": mean, "outcomes": outcomes, "rows_sha256": rows * 64, **values})


def lineage(registry: Registry) -> tuple[str, str]:
    """Two versions: the second lost some of the first task's rows, and has a task and general ability of its own."""
    first, _ = submit(registry, "a")
    with registry.write() as work:
        one = publish(work, claim(work), [told(first.id, [1] * 40), told(None, [8, 12], **GENERAL, value=math.e)])
    second, _ = submit(registry, "b")
    with registry.write() as work:
        scores = [
            told(first.id, [1] * 30 + [0] * 10),
            told(second.id, [1, 1, 0, 0]),
            told(None, [12, 18], **GENERAL, value=math.exp(1.5)),
        ]
        two = publish(work, claim(work), scores)
    return one.id, two.id


def test_a_version_tells_its_scores_with_intervals_and_counts(registry: Registry) -> None:
    _, two = lineage(registry)
    with registry.read() as work:
        found = comparisons.of_version(work, project_id=PROJECT, version=two)
    assert [(each.task, each.metric, each.n_rows) for each in found.scores] == [
        ("a", "exact_match", 40),
        ("b", "exact_match", 4),
        (None, "perplexity", 2),
    ]
    assert found.against_id is None
    assert all(each.against is None for each in found.scores)


def test_the_same_rows_are_compared_row_by_row(registry: Registry) -> None:
    one, two = lineage(registry)
    with registry.read() as work:
        found = comparisons.of_version(work, project_id=PROJECT, version=two, against=one)
    old, new, general = (each.against for each in found.scores)
    assert old is not None
    assert (old.value, old.difference, old.n_better, old.n_worse) == (1.0, -0.25, 0, 10)
    assert old.low is not None
    assert old.high is not None
    assert old.low < -0.25 < old.high < 0
    assert old.p_value == pytest.approx(2 / 2**10)
    assert new is None, "the first version was not scored on a task that came later"
    assert general is not None
    assert general.difference == pytest.approx(0.5)
    assert (general.n_better, general.n_worse) == (0, 2)


def test_other_rows_are_not_paired(registry: Registry) -> None:
    first, _ = submit(registry, "a")
    one = claimed(registry)
    with registry.write() as work:
        before = publish(work, one, [told(first.id, [1, 1, 0, 0], rows="b")])
    submit(registry, "b")
    two = claimed(registry)
    with registry.write() as work:
        after = publish(work, two, [told(first.id, [1, 0, 0, 0])])
    submit(registry, "c")
    three = claimed(registry)
    with registry.write() as work:
        unkept = publish(work, three, [result(first.id, 0.75)])
    for version in (after, unkept):
        with registry.read() as work:
            found = comparisons.of_version(work, project_id=PROJECT, version=version.id, against=before.id)
        (against,) = (each.against for each in found.scores)
        assert against is not None
        assert against.difference == found.scores[0].value - 0.5
        assert against.low is against.p_value is against.n_better is None


def test_versions_of_different_models_have_no_tasks_in_common(registry: Registry) -> None:
    one, _ = lineage(registry)
    ready_base(registry, "second")
    new_model(registry, "other")
    with registry.read() as work, pytest.raises(InvalidError) as caught:
        comparisons.of_version(work, project_id=PROJECT, version=one, against="other@0")
    assert caught.value.places[0].loc == ("query", "against")
    with registry.read() as work, pytest.raises(MissingError):
        comparisons.of_version(work, project_id=PROJECT, version=one, against="desk@9")

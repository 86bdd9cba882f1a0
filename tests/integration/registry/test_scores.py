"""Scores as they are kept: what each row came to, on which rows, how sure, and of the general text too."""

import pytest
from stage import PROJECT, claimed, publish, submit

from core.domain.job_folder import ScoreEvent
from core.domain.records import Version
from core.domain.scores import Score
from core.registry import measures, versions
from core.registry.work import Registry

pytestmark = pytest.mark.usefixtures("desk")


def published(registry: Registry, *, task: str = "a") -> tuple[Version, str]:
    posted, _ = submit(registry, task)
    job = claimed(registry)
    told = [
        event("result", posted.id, 0.75, outcomes=(1.0, 0.0, 1.0, 1.0), low=0.25, high=1.0, chance=0.5),
        event("base", posted.id, 0.25, outcomes=(0.0, 0.0, 1.0, 0.0)),
        event("result", None, 7.5, metric="perplexity", outcomes=(4.0298, 12.0), sizes=(2, 6)),
        event("base", None, 7.25, metric="perplexity"),
    ]
    with registry.write() as work:
        return publish(work, job, told), posted.id


def event(subject: str, task_id: str | None, value: float, **values: object) -> ScoreEvent:
    known = {"subject": subject, "task_id": task_id, "value": value, "metric": "exact_match", "n_rows": 4}
    return ScoreEvent.model_validate({**known, "rows_sha256": "e" * 64, **values})


def test_a_score_is_read_as_it_was_told(registry: Registry) -> None:
    version, task_id = published(registry)
    with registry.read() as work:
        (found,) = measures.scores(work, [version.id], with_rows=True)
        (general,) = measures.general_scores(work, [version.id], with_rows=True)
    assert found == Score(
        version_id=version.id,
        task_id=task_id,
        metric="exact_match",
        value=0.75,
        n_rows=4,
        low=0.25,
        high=1.0,
        chance=0.5,
        rows_sha256="e" * 64,
        outcomes=[1, 0, 1, 1],
    )
    assert found.sample is not None
    assert found.sample.value == found.value
    assert (general.task_id, general.metric, general.value) == (None, "perplexity", 7.5)
    assert (general.outcomes, general.sizes) == ([4.0298, 12], [2, 6])


def test_what_rows_came_to_is_read_only_when_it_is_asked_for(registry: Registry) -> None:
    version, _ = published(registry)
    with registry.read() as work:
        (found,) = measures.scores(work, [version.id])
        (general,) = measures.general_scores(work, [version.id])
    assert found.outcomes is found.sizes is found.sample is general.outcomes is None
    assert (found.low, found.rows_sha256) == (0.25, "e" * 64)


def test_scores_of_the_base_are_those_of_version_zero(registry: Registry) -> None:
    version, task_id = published(registry)
    with registry.read() as work:
        zero = versions.find_number(work, model_id=version.model_id, number=0)
        assert zero is not None
        (found,) = measures.scores(work, [zero.id])
        (general,) = measures.general_scores(work, [zero.id])
    assert (found.task_id, found.value, general.value) == (task_id, 0.25, 7.25)


def test_measuring_again_replaces(registry: Registry) -> None:
    version, task_id = published(registry)
    again = [
        Score(version_id=version.id, task_id=name, metric=metric, value=0.5, n_rows=2)
        for name, metric in ((task_id, "exact_match"), (None, "perplexity"))
    ]
    with registry.write() as work:
        measures.record_scores(work, project_id=PROJECT, scores=again)
    with registry.read() as work:
        found = measures.scores(work, [version.id], with_rows=True)
        general = measures.general_scores(work, [version.id], with_rows=True)
    assert [*found, *general] == again

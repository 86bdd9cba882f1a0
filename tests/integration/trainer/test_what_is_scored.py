"""What a trainer measures beside the matrix, and what it does not measure again."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from job_folders import Lineage

from core.domain.job_folder import Event, JobFolder, ScoreEvent
from core.domain.manifest import Manifest
from core.domain.metrics import EXACT_MATCH, OPTION_LIKELIHOOD, PERPLEXITY, ROUGE_L, TOKEN_ACCURACY
from core.domain.trainer_spec import ScoredTask, TrainerSpec
from core.learning.task_run import TaskRun

TASKS = (
    ScoredTask(task_id="task_1", name="task-1", rows="data/eval-task_1.jsonl", max_rows=3),
    ScoredTask(task_id="task_2", name="task-2", rows="data/eval-task_2.jsonl", metrics=(ROUGE_L, EXACT_MATCH)),
)


def run(folder: JobFolder) -> list[ScoreEvent]:
    told: list[Event] = []
    spec = TrainerSpec.model_validate_json(folder.spec.read_text())
    TaskRun.open(spec, folder, report=told.append, stopping=lambda: False).run()
    return [event for event in told if isinstance(event, ScoreEvent)]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory, llama_folder: Path) -> Lineage:
    """One task, learned; the next may be staged."""
    lineage = Lineage(tmp_path_factory.mktemp("lineage"), llama_folder)
    folder = lineage.stage("first")
    run(folder)
    lineage.finish(folder)
    return lineage


@pytest.fixture(scope="module")
def second(learned: Lineage) -> tuple[list[ScoreEvent], Manifest]:
    folder = learned.stage("second", tasks=TASKS)
    scores = run(folder)
    return scores, Manifest.model_validate_json((folder.out / "manifest.json").read_text())


def named(scores: Sequence[ScoreEvent]) -> list[tuple[str, str | None, str]]:
    return [(score.subject, score.task_id, score.metric) for score in scores]


def test_tasks_are_scored_by_their_own_metrics_and_rows(second: tuple[list[ScoreEvent], Manifest]) -> None:
    scores, _ = second
    assert named(scores) == [
        *(("base", "task_2", metric) for metric in (ROUGE_L, EXACT_MATCH, OPTION_LIKELIHOOD)),
        *(("base", None, metric) for metric in (PERPLEXITY, TOKEN_ACCURACY)),
        ("result", "task_1", EXACT_MATCH),
        *(("result", "task_2", metric) for metric in (ROUGE_L, EXACT_MATCH)),
        *(("result", None, metric) for metric in (PERPLEXITY, TOKEN_ACCURACY)),
    ]
    assert [score.n_rows for score in scores if score.task_id] == [6, 6, 6, 3, 6, 6]


def test_every_score_says_on_which_rows_it_is_and_how_sure(second: tuple[list[ScoreEvent], Manifest]) -> None:
    scores, _ = second
    for score in scores:
        assert score.outcomes is not None
        assert score.low is not None
        assert score.high is not None
        assert len(score.outcomes) == score.n_rows
        assert score.low <= score.value <= score.high
        assert (score.sizes is None) is (score.task_id is not None)
        assert (score.chance is None) is (score.task_id is None)
    rows = {(score.task_id, score.rows_sha256) for score in scores}
    assert len(rows) == 3, "the rows of a task are the same for every metric, and for the base"


def test_a_delta_is_compared_with_each_one_before_it(
    learned: Lineage, second: tuple[list[ScoreEvent], Manifest]
) -> None:
    first = Manifest.model_validate_json((learned.done[0].out / "manifest.json").read_text())
    assert first.delta.overlaps == ()
    assert second[1].delta.overlaps is not None
    (overlap,) = second[1].delta.overlaps
    assert 0 <= overlap.shared <= 1
    assert -1 <= overlap.cosine <= 1


def test_the_base_is_not_measured_again_on_the_same_rows(
    learned: Lineage, second: tuple[list[ScoreEvent], Manifest]
) -> None:
    base = [score for score in second[0] if score.subject == "base"]
    # Values that no measurement gives, so that it is seen whether one was made; the last two are of other rows.
    known = [score.model_copy(update={"value": 0.125}) for score in base[:-2]]
    other = [score.model_copy(update={"value": 0.125, "rows_sha256": "0" * 64}) for score in base[-2:]]
    again = run(learned.stage("again", tasks=TASKS, known_base=(*known, *other)))
    assert [score for score in again if score.subject == "base"] == [*known, *base[-2:]]
    assert [score for score in again if score.subject == "result"] == [
        score for score in second[0] if score.subject == "result"
    ]

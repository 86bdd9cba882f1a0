"""var/demo/report.json: what the demo measured, and whether it is what it should be."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from strata.client.score_results import ScoreMatrix

BASE_BELOW: Final = 0.35
BASE_BY_OPTION_BELOW: Final = 0.60
LEARNED_AT_LEAST: Final = 0.80
REMEMBERED_AT_LEAST: Final = 0.75

Report = dict[str, Any]


def of(matrix: ScoreMatrix, answers: Sequence[dict[str, str]]) -> Report:
    """Return the report; ``scores[i][t]`` is None above the diagonal, where task t was not yet learned."""
    n = len(matrix.tasks)
    return {
        "tasks": list(matrix.tasks),
        "scores": [[matrix.scores[i][t] if t <= i else None for t in range(n)] for i in range(n)],
        "base_scores": list(matrix.base_scores),
        "base_option_scores": list(matrix.base_option_scores),
        "oa": matrix.oa,
        "bwt": matrix.bwt,
        "plasticity": matrix.plasticity,
        "density": list(matrix.density),
        "versions": list(matrix.versions),
        "generate": list(answers),
    }


def write(report: Report, path: Path) -> None:
    """Write the report as JSON."""
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def missed(report: Report) -> list[str]:
    """Return one sentence for each score that is not where it should be."""
    return [*_base(report), *_learned(report)]


def _base(report: Report) -> Iterator[str]:
    for limit, key, how in (
        (BASE_BELOW, "base_scores", "exact match"),
        (BASE_BY_OPTION_BELOW, "base_option_scores", "by option"),
    ):
        for task, score in zip(report["tasks"], report[key], strict=True):
            if score is not None and score >= limit:
                yield f"the base model already scores {score:.3f} on {task} ({how}), not under {limit}"


def _learned(report: Report) -> Iterator[str]:
    scores, tasks = report["scores"], report["tasks"]
    for t, task in enumerate(tasks):
        if not _reaches(scores[t][t], LEARNED_AT_LEAST):
            yield f"{task} scores {scores[t][t]} after it was learned, not {LEARNED_AT_LEAST} or more"
        if not _reaches(scores[-1][t], REMEMBERED_AT_LEAST):
            yield f"{task} scores {scores[-1][t]} at the end, not {REMEMBERED_AT_LEAST} or more"


def _reaches(score: float | None, least: float) -> bool:
    return score is not None and score >= least

"""Scores a network as it stands, and says so in the words of a job's folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.domain.job_folder import ScoreEvent
from core.domain.metrics import PERPLEXITY, TOKEN_ACCURACY
from core.domain.trainer_spec import ScoredTask
from core.learning import rows
from core.learning.general_text import SENTENCES
from core.learning.recipe import Recipe
from core.learning.rows import AnyRow, Document
from core.learning.sampling import chosen_by_content, identity
from core.learning.scoring import Score, Scorer
from core.weights.base import LoadedBase

# Limits of one document of the general text, which has far fewer tokens.
_GENERAL_TOKENS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Examiner:
    """Examines the network of ``base``, with whatever weights it has by now.

    Attributes:
        root: of the job's folder, to which the tasks' rows are relative.
        recipe: whose limits hold for tasks that name none.
        pulse: called after each batch; it may raise to stop.
    """

    base: LoadedBase
    root: Path
    recipe: Recipe
    pulse: Callable[[], None]

    def task(
        self, task: ScoredTask, metrics: Sequence[str], *, subject: str, known: Sequence[ScoreEvent] = ()
    ) -> list[ScoreEvent]:
        """Return the scores on a task's held-out rows, without metrics that none of the rows has.

        Those of ``known`` that are of the same rows are not measured again.
        """
        training = self.recipe.training
        held_out = rows.read(self.root / task.rows)
        return self._scores(
            chosen_by_content(held_out, task.max_rows or self.recipe.evaluation.max_rows),
            metrics,
            limits=(
                task.max_source_tokens or training.max_source_tokens,
                task.max_target_tokens or training.max_target_tokens,
            ),
            about={"subject": subject, "task_id": task.task_id},
            known=known,
        )

    def general(self, *, subject: str, known: Sequence[ScoreEvent] = ()) -> list[ScoreEvent]:
        """Return how well the network reads the general text, as `task`; nothing of one that only answers."""
        if self.base.facts.family == "seq2seq":
            return []
        return self._scores(
            [Document(sentence) for sentence in SENTENCES],
            (PERPLEXITY, TOKEN_ACCURACY),
            limits=(_GENERAL_TOKENS, _GENERAL_TOKENS),
            about={"subject": subject, "task_id": None},
            known=known,
        )

    def _scores(
        self,
        held_out: Sequence[AnyRow],
        metrics: Sequence[str],
        *,
        limits: tuple[int, int],
        about: dict[str, str | None],
        known: Sequence[ScoreEvent],
    ) -> list[ScoreEvent]:
        about |= {"rows_sha256": identity(held_out)}
        kept = {each.metric: each for each in known if about.items() <= dict(each).items()}
        scorer = Scorer(
            model=self.base.model,
            tokenizer=self.base.tokenizer,
            family=self.base.facts.family,
            max_source_tokens=limits[0],
            max_target_tokens=limits[1],
            batch_size=self.recipe.evaluation.batch_size,
            pulse=self.pulse,
        )
        measured = scorer.scores(held_out, [metric for metric in metrics if metric not in kept])
        found = kept | {score.metric: _event(score, about) for score in measured if score.n_rows}
        return [found[metric] for metric in metrics if metric in found]


def _event(score: Score, known: dict[str, str | None]) -> ScoreEvent:
    bounds = score.interval()
    return ScoreEvent.model_validate(
        {
            **known,
            "metric": score.metric,
            "value": score.value,
            "n_rows": score.n_rows,
            "low": bounds.low,
            "high": bounds.high,
            "chance": score.chance,
            "outcomes": tuple(score.sample.outcomes),
            "sizes": None if score.sample.sizes is None else tuple(score.sample.sizes),
        }
    )

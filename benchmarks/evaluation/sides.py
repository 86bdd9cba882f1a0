"""The two ways in which a model of many tasks is scored, on the same rows, limits and batch size.

scored      as a job of the service does: weights merged, by `Scorer.right`
generated   every answer anew: the adapter beside the weights (PEFT), transformers' `generate` up to the limit of a
            target, rows as they come; what ends an answer ends it for either
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import torch
from peft import LoraConfig, get_peft_model

from benchmarks.continual.data import Task
from core.learning.answer_metrics import normalised
from core.learning.loss import target_loss
from core.learning.recipe import Evaluation
from core.learning.rows import Row, collate, padded, tokenise
from core.learning.scoring import Scorer, pad_token
from core.learning.training import Training
from core.weights.base import LoadedBase
from core.weights.tokens import encode_prompt

SOURCE_TOKENS: Final = Training().max_source_tokens
TARGET_TOKENS: Final = Training().max_target_tokens
BATCH_ROWS: Final = Evaluation().batch_size
LESSON_ROWS: Final = 8
_RANK: Final = 8
_RATE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Right:
    """Which rows of a task are right, and how many tokens the longest answer took, where answers were generated."""

    rows: list[bool]
    longest_answer: int = 0


@dataclass(frozen=True, slots=True)
class Sides:
    """One adapted model, merged and not."""

    tokenizer: Any
    merged: Any
    unmerged: Any

    @classmethod
    def of(cls, loaded: LoadedBase, lessons: Sequence[Task]) -> Self:
        """Adapt the base's query and value projections, by one step on each of the tasks' lessons in turn.

        So little is enough for answers that say an option and end, as those of a version do.
        """
        torch.manual_seed(0)
        unmerged = get_peft_model(loaded.model, LoraConfig(r=_RANK, target_modules=["q_proj", "v_proj"])).train()
        parameters = [parameter for parameter in unmerged.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=0.0)
        for first in range(0, max(len(task.train) for task in lessons), LESSON_ROWS):
            for task in lessons:
                _step(loaded, unmerged, optimizer, task.train[first : first + LESSON_ROWS])
        merged = copy.deepcopy(unmerged).merge_and_unload()
        return cls(loaded.tokenizer, merged.eval(), unmerged.eval())

    def scored(self, rows: Sequence[Row]) -> Right:
        """Return which rows are right, as a job finds out."""
        scorer = Scorer(
            model=self.merged,
            tokenizer=self.tokenizer,
            family="causal",
            max_source_tokens=SOURCE_TOKENS,
            max_target_tokens=TARGET_TOKENS,
            batch_size=BATCH_ROWS,
            pulse=lambda: None,
        )
        return Right(scorer.right(rows))

    @torch.inference_mode()
    def generated(self, rows: Sequence[Row]) -> Right:
        """Return the same by generating, batch by batch."""
        right, longest = [], 0
        for first in range(0, len(rows), BATCH_ROWS):
            batch = rows[first : first + BATCH_ROWS]
            answers_BT = self._answers(batch)
            longest = max(longest, answers_BT.shape[1])
            texts = self.tokenizer.batch_decode(answers_BT, skip_special_tokens=True)
            right += [normalised(text) == normalised(row.target) for text, row in zip(texts, batch, strict=True)]
        return Right(right, longest)

    def _answers(self, rows: Sequence[Row]) -> torch.Tensor:
        pad = pad_token(self.tokenizer)
        prompts = [
            encode_prompt(self.tokenizer, row.prompt, "causal", max_tokens=SOURCE_TOKENS, cut=row.cut) for row in rows
        ]
        input_ids_BT = padded(prompts, value=pad, left=True)
        output_BT: torch.Tensor = self.unmerged.generate(
            input_ids=input_ids_BT,
            attention_mask=padded([[1] * len(prompt) for prompt in prompts], value=0, left=True),
            max_new_tokens=TARGET_TOKENS,
            do_sample=False,
            pad_token_id=pad,
        )
        return output_BT[:, input_ids_BT.shape[1] :]


def _step(loaded: LoadedBase, model: Any, optimizer: torch.optim.Optimizer, rows: Sequence[Row]) -> None:
    if not rows:
        return
    tokens = tokenise(
        rows, loaded.tokenizer, "causal", max_source_tokens=SOURCE_TOKENS, max_target_tokens=TARGET_TOKENS
    )
    optimizer.zero_grad()
    loss = target_loss(model, collate(tokens, pad=0), "causal", share_prefix=True)
    torch.autograd.backward(loss / sum(len(row.labels) - row.labels.count(-100) for row in tokens))
    optimizer.step()

"""Learning without forgetting (arXiv 1606.09282): the answers to the new rows stay near the ones from before the task.

    L = strength * T^2 * sum over target tokens of  KL( softmax(before / T) || softmax(now / T) )

The teacher costs no memory: it is the same model with its adapter switched off. Before there is a past the term is 0.
"""

import torch
from torch import Tensor
from torch.nn import functional

from core.learning.objectives.lwf.config import LwfSettings
from core.learning.objectives.port import Answers, Objective


class Lwf(Objective):
    """The objective ``lwf``."""

    name = "lwf"

    def __init__(self, settings: LwfSettings) -> None:
        self._settings = settings

    def batch_loss(self, answers: Answers) -> Tensor | None:
        """Return the divergence, summed over the target tokens; None before there is a past."""
        if answers.before is None or self._settings.strength == 0:
            return None
        temperature = self._settings.temperature
        before_KV = _log_probabilities(answers.before().detach(), temperature)
        now_KV = _log_probabilities(answers.logits_KV, temperature)
        divergence = functional.kl_div(now_KV, before_KV, reduction="sum", log_target=True)
        return divergence * (self._settings.strength * temperature**2)


def _log_probabilities(logits_KV: Tensor, temperature: float) -> Tensor:
    wide_KV = logits_KV.to(torch.promote_types(logits_KV.dtype, torch.float32))
    return functional.log_softmax(wide_KV / temperature, dim=-1)

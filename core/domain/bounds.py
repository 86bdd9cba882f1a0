"""How little a figure may really be, given that it was measured on a few rows: one-sided confidence bounds.

Closed forms, without the resampling of `core.domain.statistics`: they are taken inside a transaction, and far out, where
many tests share one confidence.
"""

import math
from statistics import NormalDist
from typing import Final

from core.domain.statistics import Sample

_HALVINGS: Final = 60
_NEGLIGIBLE: Final = 1e-17


def proportion_low(right: int, total: int, *, confidence: float) -> float:
    """Return the least share that explains ``right`` of ``total`` (at least 1): the exact binomial bound.

    Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934): the p at which as many right
    ones, or more, would come in ``1 - confidence`` of all samples.
    """
    if right == 0:
        return 0.0
    low, high = 0.0, right / total
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_least(right, total, middle) < 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def variance_of(sample: Sample) -> float:
    """Return the variance of a sample's value, of at least two rows: that of a mean, or of a ratio of sums.

    W. Cochran, Sampling Techniques, 1977, 2.11.
    """
    sizes = sample.sizes or [1] * len(sample.outcomes)
    residuals = [made - sample.value * size for made, size in zip(sample.outcomes, sizes, strict=True)]
    rows = len(residuals)
    return rows / (rows - 1) * math.fsum(residual**2 for residual in residuals) / math.fsum(sizes) ** 2


def low(sample: Sample, *, confidence: float) -> float:
    """Return the least value that explains ``sample`` (at least two rows), by Student's t."""
    return sample.value - student(confidence, degrees=len(sample.outcomes) - 1) * math.sqrt(variance_of(sample))


def student(confidence: float, *, degrees: int) -> float:
    """Return the quantile of Student's t: Fisher and Cornish's expansion around the normal one (Abramowitz 26.7.5).

    Within one hundredth of the exact one for 10 degrees of freedom or more and a confidence of 0.9999 or less.
    """
    z = NormalDist().inv_cdf(confidence)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3


def _at_least(right: int, total: int, share: float) -> float:
    """Return the probability of ``right`` or more of ``total``; ``share`` is below ``right / total``."""
    if share <= 0:
        return 0.0
    chance = math.exp(
        math.lgamma(total + 1)
        - math.lgamma(right + 1)
        - math.lgamma(total - right + 1)
        + right * math.log(share)
        + (total - right) * math.log1p(-share)
    )
    tail = chance
    for more in range(right + 1, total + 1):
        # Above the mean each further one is less likely than the one before.
        chance *= (total - more + 1) / more * share / (1 - share)
        tail += chance
        if chance < _NEGLIGIBLE * tail:
            break
    return tail

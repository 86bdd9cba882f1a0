"""How sure a score is: intervals by resampling rows, and paired tests of two models on the same rows.

Percentile intervals: B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. The sign test on
rows of which exactly one model is right is McNemar's in its exact form. The same rows always give the same bounds.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final, final

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 2_000
# The mean of more rows than these is resampled from the normal distribution that it then follows all but exactly.
MOST_DRAWN_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Sample:
    """What rows came to, in order.

    Attributes:
        outcomes: one number a row, at least one.
        sizes: of how many units each outcome is the sum; None where every row is one.
    """

    outcomes: Sequence[float]
    sizes: Sequence[float] | None = None

    @property
    def value(self) -> float:
        """Mean over all units."""
        return math.fsum(self.outcomes) / (len(self.outcomes) if self.sizes is None else math.fsum(self.sizes))


@final
@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of a figure."""

    low: float
    high: float


def interval(*strata: Sample, confidence: float = CONFIDENCE) -> Interval:
    """Return the bootstrap interval of a sample's value; of several samples, of the mean of their values.

    Rows are resampled within their own sample. A bound for one side at 95 % is one of two sides at 90 %.
    Where every row of a single sample has the same outcome, 0 or 1, there is nothing to resample: one bound is then the
    exact binomial one (C. Clopper and E. Pearson, Biometrika 1934), since a few rows that agree do not prove much.

    Args:
        strata: samples, each of at least one row.
        confidence: share of such intervals that hold the true figure, between 0 and 1.
    """
    tail = (1 - confidence) / 2
    if len(strata) == 1 and (exact := _exact(strata[0], tail)) is not None:
        return exact
    generator = random.Random(0)  # noqa: S311 - resampling, no secret
    draws = sorted(map(fmean, zip(*(_draws(sample, generator) for sample in strata), strict=True)))
    last = len(draws) - 1
    return Interval(draws[math.floor(tail * last)], draws[math.ceil((1 - tail) * last)])


def differences(before: Sample, after: Sample) -> Sample:
    """Return by how much each row came to more afterwards: the rows of both must be the same, in the same order.

    Raises:
        ValueError: they are not as many, or not of the same sizes.
    """
    if before.sizes != after.sizes:
        raise ValueError("the samples are of different rows")
    return Sample([new - old for old, new in zip(before.outcomes, after.outcomes, strict=True)], before.sizes)


def sign_test(changes: Sample) -> float:
    """Return the two-sided probability that as few rows or fewer go against the rest, if up and down were equally likely.

    Rows that did not change say nothing and are left out; without any that did it is 1.
    """
    better = sum(change > 0 for change in changes.outcomes)
    worse = sum(change < 0 for change in changes.outcomes)
    count = better + worse
    tail = math.fsum(
        math.exp(math.lgamma(count + 1) - math.lgamma(n + 1) - math.lgamma(count - n + 1) - count * math.log(2))
        for n in range(min(better, worse) + 1)
    )
    return min(1.0, 2 * tail)


def _exact(sample: Sample, tail: float) -> Interval | None:
    count = len(sample.outcomes)
    if sample.sizes is None and set(sample.outcomes) == {1.0}:
        return Interval(tail ** (1 / count), 1.0)
    if sample.sizes is None and set(sample.outcomes) == {0.0}:
        return Interval(0.0, 1 - tail ** (1 / count))
    return None


def _draws(sample: Sample, generator: random.Random) -> Iterator[float]:
    """Yield the sample's value on resampled rows, again and again."""
    outcomes, sizes, count = sample.outcomes, sample.sizes, len(sample.outcomes)
    if count > MOST_DRAWN_ROWS:
        middle, spread = sample.value, _standard_error(sample)
        yield from (generator.gauss(middle, spread) for _ in range(RESAMPLES))
    elif sizes is None:
        yield from (math.fsum(generator.choices(outcomes, k=count)) / count for _ in range(RESAMPLES))
    else:
        pairs = list(zip(outcomes, sizes, strict=True))
        for _ in range(RESAMPLES):
            drawn, units = zip(*generator.choices(pairs, k=count), strict=True)
            yield math.fsum(drawn) / math.fsum(units)


def _standard_error(sample: Sample) -> float:
    """Return that of a ratio of sums (W. Cochran, Sampling Techniques, 1977, 2.11); of a mean where rows are one unit."""
    sizes = sample.sizes or [1] * len(sample.outcomes)
    value = sample.value
    residuals = math.fsum((made - value * size) ** 2 for made, size in zip(sample.outcomes, sizes, strict=True))
    return math.sqrt(residuals) / math.fsum(sizes)

"""Thresholds from the magnitudes of a group's |Delta|, without ever holding them together.

The start is an exact order statistic; a threshold that follows a density takes its quantile from a sample.
"""

import math
from collections.abc import Callable, Iterable
from typing import Final

import torch
from torch import Tensor

# One entry in so many is sampled: a prime, so that the sample runs over all columns of a matrix.
_STRIDE: Final = 127
# A sample that says enough of a quantile, and how many entries go by for each of it: as many as leave that much.
_LEAST: Final = 1 << 16
_STRIDES: Final = (_STRIDE, 61, 31, 11, 1)
# Half the bracket around the sampled quantile, in standard deviations of its rank.
_DEVIATIONS: Final = 6.0
# Entries that may be held together; as many as that are held without sampling first.
_HELD: Final = 1 << 22
_DIGIT_BITS: Final = 16
_INTEGER: Final = {torch.float32: torch.int32, torch.float64: torch.int64}

Tiles = Callable[[], Iterable[Tensor]]
# Returns the magnitude of one entry in so many as it is asked for.
Sampled = Callable[[int], Tensor]


def kth_smallest_magnitude(tiles: Tiles, k: int, *, dtype: torch.dtype) -> float:
    """Return the k-th smallest absolute value (k counts from 1) over all entries of all tiles.

    A sample brackets it; one more pass counts what lies below the bracket and holds what lies inside, a small share of
    all, of which the value is the exact order statistic. Where the bracket misses it, or too many entries are equal, it
    is found from histograms of digits instead. Exact either way, ties included.

    Args:
        tiles: yields the same tensors of ``dtype``, bit for bit, each time it is called.
        k: 1 to the number of entries.
        dtype: torch.float32 or torch.float64.
    """
    low, high, entries = _bracket(tiles, k)
    below = count = 0
    # One piece of memory for all: many small ones between the tiles would keep the heap from being used again.
    held = torch.empty(min(entries, _HELD), dtype=dtype)
    for tile in tiles():
        magnitudes = tile.abs().flatten()
        below += int((magnitudes < low).sum())
        inside = magnitudes[(magnitudes >= low) & (magnitudes <= high)]
        if count + len(inside) > len(held):
            return _by_digits(tiles, k, dtype)
        held[count : count + len(inside)] = inside
        count += len(inside)
    if not below < k <= below + count:
        return _by_digits(tiles, k, dtype)
    return float(held[:count].kthvalue(k - below).values)


def magnitude_above(tiles: Tiles, share: float, *, entries: int, dtype: torch.dtype) -> float:
    """Return a magnitude that at least ``share`` of all ``entries`` do not exceed, and hardly more; as exact as the above.

    It lies halfway between two entries, for the reason that `sampled_magnitude` gives.
    """
    k = min(max(math.ceil(share * entries), 1), entries)
    below, above = (kth_smallest_magnitude(tiles, place, dtype=dtype) for place in (k, min(k + 1, entries)))
    return (below + above) / 2


def sampled_magnitude(sampled: Sampled, share: float, *, entries: int) -> float:
    """Return the magnitude that about ``share`` of all ``entries`` do not exceed, from one in 127 at most.

    Of 10 million entries the share that truly exceeds it is within 0.008 of ``1 - share`` (four standard deviations at most);
    few entries are all looked at. It lies halfway between two entries of the sample: were it one of them, whether that
    one passes would be a matter of the last bit, which is another with other numbers of processes or threads.
    """
    sample = sampled(next(stride for stride in _STRIDES if stride == 1 or entries // stride >= _LEAST))
    k = min(max(math.ceil(share * len(sample)), 1), len(sample))
    below, above = (float(sample.kthvalue(place).values) for place in (k, min(k + 1, len(sample))))
    return (below + above) / 2


def sampled_products(factors: Iterable[tuple[Tensor, Tensor]], stride: int) -> Tensor:
    """Return the magnitude of one entry in ``stride`` of the products ``B A``; only for all of them are those formed.

    Args:
        factors: B ``[O, R]`` and A ``[R, I]`` of each layer.
        stride: counted on from layer to layer.
    """
    entries, found = 0, []
    for b_OR, a_RI in factors:
        outputs, inputs = len(b_OR), a_RI.shape[1]
        if stride == 1:
            sample = (b_OR @ a_RI).flatten()
        else:
            place = torch.arange(-entries % stride, outputs * inputs, stride, device=b_OR.device)
            sample = (b_OR[place // inputs] * a_RI.T[place % inputs]).sum(dim=1)
        found.append(sample.abs_())
        entries += outputs * inputs
    return torch.cat(found)


def _bracket(tiles: Tiles, k: int) -> tuple[float, float, int]:
    """Return two magnitudes between which the k-th smallest almost surely lies, and how many entries there are.

    Of few entries, the two are nothing and infinity: all lie between them.
    """
    entries, sampled = 0, []
    for tile in tiles():
        # Counted on from tile to tile, so that the sample runs through all columns alike.
        sampled.append(tile.flatten()[-entries % _STRIDE :: _STRIDE].abs())
        entries += tile.numel()
    if entries <= _HELD:
        return 0.0, math.inf, entries
    sample = torch.cat(sampled).sort().values
    place = k / entries * len(sample)
    reach = _DEVIATIONS * math.sqrt(len(sample)) / 2
    low, high = math.floor(place - reach), math.ceil(place + reach)
    return (
        float(sample[low]) if low >= 0 else 0.0,
        float(sample[high]) if high < len(sample) else math.inf,
        entries,
    )


def _by_digits(tiles: Tiles, k: int, dtype: torch.dtype) -> float:
    """Find the value digit by digit, 16 bits at a time: bit patterns of non-negative floats are ordered as the floats.

    Two passes over the tiles for fp32, four for float64; no entry is held.
    """
    prefix = 0
    for shift in range(dtype.itemsize * 8 - _DIGIT_BITS, -1, -_DIGIT_BITS):
        below = _histogram(tiles, prefix, shift, _INTEGER[dtype]).cumsum(0)
        found = int(torch.searchsorted(below, k))
        k -= int(below[found - 1]) if found else 0
        prefix = prefix << _DIGIT_BITS | found
    return float(torch.tensor(prefix, dtype=_INTEGER[dtype]).view(dtype))


def _histogram(tiles: Tiles, prefix: int, shift: int, integer: torch.dtype) -> Tensor:
    """Count the digits at ``shift`` of all entries whose higher digits are ``prefix``."""
    counts = torch.zeros(1 << _DIGIT_BITS, dtype=torch.int64)
    for tile in tiles():
        digits = tile.abs().view(integer).flatten() >> shift
        digits = digits[(digits >> _DIGIT_BITS) == prefix] & ((1 << _DIGIT_BITS) - 1)
        counts += torch.bincount(digits, minlength=1 << _DIGIT_BITS).cpu()
    return counts

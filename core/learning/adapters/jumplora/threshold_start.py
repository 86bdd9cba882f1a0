"""The threshold's start: an exact order statistic of all |Delta| of a group, without ever holding them together."""

from collections.abc import Callable, Iterable
from typing import Final

import torch
from torch import Tensor

_DIGIT_BITS: Final = 16
_INTEGER: Final = {torch.float32: torch.int32, torch.float64: torch.int64}


def kth_smallest_magnitude(tiles: Callable[[], Iterable[Tensor]], k: int, *, dtype: torch.dtype) -> float:
    """Return the k-th smallest absolute value (k counts from 1) over all entries of all tiles.

    The bit patterns of non-negative floats are ordered as the floats are, so the value is found digit by digit, 16
    bits at a time, from histograms: two passes over the tiles for fp32, four for float64. Exact, ties included.

    Args:
        tiles: yields the same tensors of ``dtype``, bit for bit, each time it is called.
        k: 1 to the number of entries.
        dtype: torch.float32 or torch.float64.
    """
    prefix = 0
    for shift in range(dtype.itemsize * 8 - _DIGIT_BITS, -1, -_DIGIT_BITS):
        below = _histogram(tiles, prefix, shift, _INTEGER[dtype]).cumsum(0)
        found = int(torch.searchsorted(below, k))
        k -= int(below[found - 1]) if found else 0
        prefix = prefix << _DIGIT_BITS | found
    return float(torch.tensor(prefix, dtype=_INTEGER[dtype]).view(dtype))


def _histogram(tiles: Callable[[], Iterable[Tensor]], prefix: int, shift: int, integer: torch.dtype) -> Tensor:
    """Count the digits at ``shift`` of all entries whose higher digits are ``prefix``."""
    counts = torch.zeros(1 << _DIGIT_BITS, dtype=torch.int64)
    for tile in tiles():
        digits = tile.abs().view(integer).flatten() >> shift
        digits = digits[(digits >> _DIGIT_BITS) == prefix] & ((1 << _DIGIT_BITS) - 1)
        counts += torch.bincount(digits, minlength=1 << _DIGIT_BITS).cpu()
    return counts

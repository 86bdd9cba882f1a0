"""Memory that the gate's passes over a layer's entries use again and again.

Blocks of some MiB come from the operating system anew each time they are asked for: on a CPU that costs more than the
arithmetic on them. What is taken here is overwritten by whoever takes the same name next on this thread.
"""

import threading
from math import prod
from typing import Final

import torch
from torch import Tensor


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.held: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}


_SCRATCH: Final = _Scratch()


def scratch(name: str, shape: tuple[int, ...], *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a tensor of ``shape`` with any values; the next call for this name may return the same memory."""
    key, entries = (name, dtype, device), prod(shape)
    held = _SCRATCH.held.get(key)
    if held is None or held.numel() < entries:
        # Never an inference tensor: those must not be written to outside of inference mode.
        with torch.inference_mode(mode=False):
            held = _SCRATCH.held[key] = torch.empty(entries, dtype=dtype, device=device)
    return held[:entries].view(shape)

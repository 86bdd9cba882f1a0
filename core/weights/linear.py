"""The layers that tasks change: ``torch.nn.Linear``, and ``Conv1D``, GPT-2's linear layer with its weight transposed.

Everywhere a layer's update is a matrix ``[out, in]``, as `Linear` keeps its weight. A `Conv1D` keeps ``[in, out]``:
`outputs_first` turns what lies in a layer's own layout into the common one, and back.
"""

from collections import Counter
from typing import Final, TypeGuard

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

LINEAR: Final = (nn.Linear, Conv1D)


def is_linear(module: nn.Module) -> TypeGuard[nn.Linear]:
    """Say whether a module is a linear layer; a `Conv1D` has a ``weight`` and a ``bias`` as `Linear` does."""
    return isinstance(module, LINEAR)


def outputs_first(module: nn.Module, tensor: Tensor) -> Tensor:
    """Return a matrix of the layer's own layout as ``[out, in]``, or one of ``[out, in]`` in the layer's own layout.

    Of a `Conv1D` it is a view, transposed; of any other layer the matrix itself.
    """
    return tensor.T if isinstance(module, Conv1D) else tensor


def tied(model: nn.Module) -> set[str]:
    """Return the names of modules that hold a parameter which another module holds too, e.g. a head tied to embeddings.

    Such a layer cannot be changed alone.
    """
    held = [
        (name, parameter) for name, module in model.named_modules() for parameter in module.parameters(recurse=False)
    ]
    holders = Counter(id(parameter) for _, parameter in held)
    return {name for name, parameter in held if holders[id(parameter)] > 1}

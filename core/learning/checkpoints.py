"""Checkpoints of a run: everything that a restart needs to go on as if nothing had happened, bit for bit.

``step-<n>/`` holds ``tensors.safetensors`` (trainable parameters, the optimiser's state, states of the random number
generators, with early stopping the best parameters so far) and ``state.json``; it is complete once its manifest
exists. Nothing in it is unpickled. What memories recall comes from the chain, and is recalled again.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from core.domain.errors import CorruptError
from core.learning.divergence import LossWatch
from core.learning.early_stopping import HeldOut
from core.learning.learner import Learner
from core.storage import durable, manifests
from core.weights import tensor_files

_TENSORS: Final = "tensors.safetensors"
_STATE: Final = "state.json"
_BEST: Final = "best."
_RNG: Final = "rng"
_CUDA_RNG: Final = "rng_cuda"


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one run.

    Attributes:
        fingerprint: of all that a run depends on; a checkpoint of another run is passed over.
    """

    root: Path
    fingerprint: str

    def save(self, learner: Learner, notes: dict[str, Any], *, losses: LossWatch, held_out: HeldOut | None) -> None:
        """Write a checkpoint of a run, with ``notes`` (JSON) beside it, and drop the ones before."""
        folder = self.root / f"step-{learner.step}"
        durable.remove_tree(folder)
        folder.mkdir(parents=True)
        best = {} if held_out is None else {f"{_BEST}{name}": tensor for name, tensor in held_out.best.items()}
        tensors = {name: _plain(tensor) for name, tensor in [*_tensors(learner), *best.items()]}
        tensor_files.write(folder / _TENSORS, tensors, {})
        scaler = learner.accelerator.scaler
        state = {
            "step": learner.step,
            "adapter": learner.adapter.state(),
            "losses": losses.state(),
            "held_out": None if held_out is None else held_out.state(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "notes": notes,
        }
        (folder / _STATE).write_text(json.dumps(state), encoding="utf-8")
        manifests.seal(folder, {"fingerprint": self.fingerprint})
        for older in self.root.glob("step-*"):
            if older != folder:
                durable.remove_tree(older)

    def latest(self) -> Path | None:
        """Return the folder of the newest checkpoint of this run that is whole."""
        complete = [folder for folder in self.root.glob("step-*") if self._is_whole(folder)]
        return max(complete, key=lambda folder: int(folder.name.removeprefix("step-")), default=None)

    def notes(self) -> dict[str, Any]:
        """Return the notes of the newest checkpoint; empty if there is none."""
        folder = self.latest()
        return {} if folder is None else dict(_read_state(folder)["notes"])

    @torch.no_grad()
    def restore(self, learner: Learner, *, losses: LossWatch, held_out: HeldOut | None) -> None:
        """Put a run where the newest checkpoint stood; without one nothing changes."""
        folder = self.latest()
        if folder is None:
            return
        tensors, _ = tensor_files.read(folder / _TENSORS)
        state = _read_state(folder)
        for name, parameter in learner.trainable():
            parameter.copy_(tensors[f"parameter.{name}"])
            prefix = f"optimizer.{name}."
            fields = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
            # AdamW keeps its step count on the CPU and its moments beside the parameter.
            learner.optimizer.state[parameter] = {
                key: tensor if key == "step" else tensor.to(parameter.device) for key, tensor in fields.items()
            }
        learner.step = int(state["step"])
        learner.adapter.restore(state["adapter"])
        losses.restore(state["losses"])
        if held_out is not None:
            best = {name.removeprefix(_BEST): tensor for name, tensor in tensors.items() if name.startswith(_BEST)}
            held_out.restore(state["held_out"], best)
        if learner.accelerator.scaler is not None:
            learner.accelerator.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(tensors[_RNG])
        if _CUDA_RNG in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors[_CUDA_RNG])

    def _is_whole(self, folder: Path) -> bool:
        try:
            return bool(manifests.verify(folder).get("fingerprint") == self.fingerprint)
        except CorruptError:
            return False


def _tensors(learner: Learner) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in learner.trainable():
        yield f"parameter.{name}", parameter
        for key, value in learner.optimizer.state[parameter].items():
            yield f"optimizer.{name}.{key}", value
    yield _RNG, torch.get_rng_state()
    if torch.cuda.is_available():
        yield _CUDA_RNG, torch.cuda.get_rng_state()


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def _read_state(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / _STATE).read_text(encoding="utf-8")))

"""What a run needs and makes once: a tiny base model, the delta that changes nothing, the library of faults.

``python -m tests.chaos.kit FOLDER`` writes it, in a process of its own: only that one loads torch.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FAULTS_SOURCE = Path(__file__).with_name("faults.c")


@dataclass(frozen=True, slots=True)
class Kit:
    """Where everything lies."""

    root: Path

    @property
    def base(self) -> Path:
        return self.root / "base"

    @property
    def delta(self) -> Path:
        return self.root / "delta.safetensors"

    @property
    def canary(self) -> Path:
        return self.root / "canary.safetensors"

    @property
    def summary(self) -> Path:
        return self.root / "summary.json"

    @property
    def faults(self) -> Path:
        return self.root / "faults.so"

    def make(self) -> None:
        self.root.mkdir(parents=True)
        compile_faults(self.faults)
        # It says nothing that matters unless it fails.
        made = subprocess.run(
            [sys.executable, "-m", "tests.chaos.kit", str(self.root)], capture_output=True, check=False
        )
        assert made.returncode == 0, made.stderr.decode(errors="replace")


def compile_faults(target: Path) -> None:
    """Compile the library that is preloaded into the processes under test."""
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(target), str(FAULTS_SOURCE), "-ldl"], check=True)


def write(kit: Kit) -> None:
    import torch

    from core.weights import base, canary
    from core.weights.delta import Delta
    from tests.tiny_models import tiny_llama

    loaded = base.load(tiny_llama(kit.base))
    canary.write(kit.canary, canary.compute(loaded.model, loaded.tokenizer, loaded.facts.family))
    targets = {
        name: torch.zeros(shape)
        for name, shape in loaded.facts.modules.items()
        if name.rsplit(".", 1)[-1] in loaded.facts.default_targets
    }
    delta = Delta.from_dense(targets, sparse=True)
    delta.save(kit.delta)
    kit.summary.write_text(delta.summary(size_bytes=kit.delta.stat().st_size).model_dump_json())


if __name__ == "__main__":
    write(Kit(Path(sys.argv[1])))

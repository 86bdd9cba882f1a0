"""What the control half of a worker loads: never torch, directly or not."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "peft", "accelerate", "safetensors.torch")


@pytest.mark.parametrize("module", ["worker.control.__main__", "worker.control.celery_app", "worker.compute.lifeline"])
def test_no_module_of_worker_control_loads_torch(module: str) -> None:
    program = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"

    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"

"""A computation's environment: what it needs, and nothing that is none of its business."""

from worker.control.context import Compute
from worker.control.environment import compute_environment

SURROUNDINGS = {
    "PATH": "/bin",
    "STRATA_DATABASE_URL": "postgresql+psycopg://user:password@host/db",
    "STRATA_ENGINE_SECRET": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "HF_TOKEN": "secret",
    "https_proxy": "http://proxy",
    "CUDA_VISIBLE_DEVICES": "2,3",
    "CUDA_HOME": "/usr/local/cuda",
}


def compute(*, device: str = "auto", visible_gpu: str | None = None) -> Compute:
    return Compute(command=("python", "-m"), device=device, threads=3, visible_gpu=visible_gpu)


def test_no_secret_reaches_a_trainer() -> None:
    environment = compute_environment(SURROUNDINGS, compute(), online=False)

    assert "secret" not in environment.values()
    assert not [name for name in environment if name.startswith("STRATA_")]
    assert environment["PATH"] == "/bin"
    assert environment["CUDA_HOME"] == "/usr/local/cuda"


def test_a_trainer_is_offline() -> None:
    environment = compute_environment(SURROUNDINGS, compute(), online=False)

    assert environment["HF_HUB_OFFLINE"] == environment["TRANSFORMERS_OFFLINE"] == "1"
    assert "https_proxy" not in environment


def test_an_inspection_may_use_the_hub() -> None:
    environment = compute_environment(SURROUNDINGS, compute(), online=True)

    assert environment["HF_TOKEN"] == "secret"
    assert environment["https_proxy"] == "http://proxy"
    assert "HF_HUB_OFFLINE" not in environment


def test_one_gpu_is_visible_at_most() -> None:
    assert compute_environment(SURROUNDINGS, compute(), online=False)["CUDA_VISIBLE_DEVICES"] == "2"
    assert compute_environment({}, compute(), online=False)["CUDA_VISIBLE_DEVICES"] == "0"
    assert compute_environment({}, compute(visible_gpu="1"), online=False)["CUDA_VISIBLE_DEVICES"] == "1"
    assert compute_environment(SURROUNDINGS, compute(device="cpu"), online=False)["CUDA_VISIBLE_DEVICES"] == ""


def test_every_library_is_told_its_threads() -> None:
    environment = compute_environment({}, compute(), online=False)

    assert {environment[name] for name in environment if name.endswith("_NUM_THREADS")} == {"3"}

"""The environment of a computation: one GPU, its share of the CPU, and none of the service's secrets."""

from collections.abc import Mapping
from typing import Final

from worker.control.context import Compute

# What a Python process needs of its surroundings. Settings, with the database's password among them, stay behind.
_KEPT: Final = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONPATH",
    "TMPDIR",
    "USER",
    "VIRTUAL_ENV",
    "XDG_CACHE_HOME",
)
_KEPT_PREFIXES: Final = ("CUDA_", "NCCL_", "NVIDIA_", "ROCM_", "HIP_")
# Only a computation that may fetch a base model needs these.
_ONLINE: Final = (
    "ALL_PROXY",
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_TOKEN",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
)
_THREAD_COUNTS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def compute_environment(surroundings: Mapping[str, str], compute: Compute, *, online: bool) -> dict[str, str]:
    """Return the environment of one computation.

    Args:
        surroundings: the worker's own environment.
        compute: how computations are started: device, threads, GPU.
        online: whether the computation may fetch files over the network.
    """
    kept = {name: value for name, value in surroundings.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    kept["CUDA_VISIBLE_DEVICES"] = visible_gpu(surroundings, compute)
    kept |= dict.fromkeys(_THREAD_COUNTS, str(compute.threads))
    kept |= {
        "PYTHONUNBUFFERED": "1",
        # OpenMP's threads otherwise spin while they wait. On cores that the engine also uses, that costs a trainer
        # several times the time of its steps.
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        # cuBLAS is only deterministic with a fixed workspace.
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    if not online:
        return kept | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    allowed = {name: value for name, value in surroundings.items() if name.upper() in _ONLINE}
    return kept | allowed


def visible_gpu(surroundings: Mapping[str, str], compute: Compute) -> str:
    """Return the one GPU that a computation sees, as CUDA_VISIBLE_DEVICES names it; empty for none."""
    if compute.device == "cpu":
        return ""
    return compute.visible_gpu or surroundings.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]

"""What a task leaves: its delta, the identity of the folded weights, a canary, scores; the manifest last."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from core.domain.job_folder import ScoreEvent
from core.domain.manifest import CANARY_FILE, DELTA_FILE, Manifest, OverlapSummary, Provenance
from core.domain.trainer_spec import RebuildSpec, TrainerSpec
from core.learning.adapters.state import AdapterState
from core.storage import durable, manifests
from core.weights import canary, tensor_files
from core.weights.base import LoadedBase
from core.weights.delta import Delta

_LIBRARIES: Final = ("accelerate", "peft", "tokenizers", "torch", "transformers")


def memory_file(name: str) -> str:
    """Return where an artefact keeps the state of the memory ``name``."""
    return f"memory/{name}.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a task came to.

    Attributes:
        delta: of this task.
        adapter: what the delta was read from, where PEFT can save it.
        memories: their states by name, for the next task.
        scores: of the new version and of the base.
        digest: of the folded tensors.
        overlaps: of the delta with each one of the chain before it; None where nobody measured.
        norm_ratios: how large the delta is, by module; see `core.weights.norms`.
        non_finite: how many of the folded weights are no finite numbers.
    """

    delta: Delta
    adapter: AdapterState | None
    memories: Mapping[str, Mapping[str, Tensor]]
    scores: Sequence[ScoreEvent]
    digest: str
    norm_ratios: Mapping[str, float]
    non_finite: int
    overlaps: tuple[OverlapSummary, ...] | None = None


def publish(out: Path, outcome: Outcome, *, spec: TrainerSpec | RebuildSpec, base: LoadedBase) -> str:
    """Write the version's artefact into ``out``, anew, and seal it.

    ``base`` holds the new version's weights in its network by now: the canary is taken from it.

    Returns:
        the SHA-256 of the manifest.
    """
    durable.remove_tree(out)
    out.mkdir(parents=True)
    outcome.delta.save(out / DELTA_FILE)
    canary.write(out / CANARY_FILE, canary.compute(base.model, base.tokenizer, base.facts.family))
    if outcome.adapter is not None:
        outcome.adapter.write(out / "adapter")
    for name, state in outcome.memories.items():
        file = out / memory_file(name)
        file.parent.mkdir(exist_ok=True)
        tensor_files.write(file, state, {"memory": name})
    _write_json(out / "scores.json", [score.model_dump(mode="json") for score in outcome.scores])
    _write_json(out / "recipe.json", spec.recipe)
    delta = outcome.delta.summary(
        size_bytes=(out / DELTA_FILE).stat().st_size,
        norm_ratios=outcome.norm_ratios,
        non_finite=outcome.non_finite,
    ).model_copy(update={"overlaps": outcome.overlaps})
    manifest = Manifest(
        provenance=Provenance.model_validate(spec.provenance),
        base_digest=spec.base.digest,
        chain=tuple(link.manifest_sha256 for link in spec.chain),
        digest=outcome.digest,
        delta=delta,
        recipe=spec.recipe,
        template=spec.template,
        libraries={name: version(name) for name in _LIBRARIES},
    )
    return manifests.seal(out, manifest.model_dump(mode="json"))


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")

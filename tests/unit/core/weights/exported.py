"""Exports of versions on a shelf, written as their jobs write them."""

from collections.abc import Sequence
from pathlib import Path

from core.domain.export_spec import Card, CardScore, CardTask, ExportSpec
from core.domain.exports import DTYPES, ExportDtype, ExportFormat
from core.domain.job_folder import JobFolder
from core.domain.trainer_spec import BaseRef, ChainLink
from core.serving.servable import Servable
from core.storage import durable
from core.weights.exporting import run
from tests.tiny_versions import Shelf


def card(learned: int) -> Card:
    score = CardScore(metric="exact_match", value=0.75, low=0.6, high=0.9, n_rows=60)
    tasks = tuple(
        CardTask(
            name=f"codes-{n}",
            learned_in=f"desk@{n}",
            method="jumplora",
            format="text_label",
            n_rows=600,
            scores=(score,),
        )
        for n in range(1, learned + 1)
    )
    return Card(
        model="desk",
        version=f"desk@{learned}",
        made_at="2026-01-01T00:00:00.000Z",
        base_name="tiny",
        base_source="hub:org/tiny@main",
        base_digest="b" * 64,
        base_licence="apache-2.0",
        architecture="LlamaForCausalLM",
        tasks=tasks,
        left_out=(),
        densities=(0.01,) * learned,
        perplexity=20.0,
        base_perplexity=19.0,
    )


def spec_of(
    shelf: Shelf, version: Servable, root: Path, kind: ExportFormat, dtype: ExportDtype | None = None
) -> ExportSpec:
    """Stage a version's chain below ``root``, as a worker does."""
    links = []
    for n, link in enumerate(version.chain):
        durable.copy_tree(shelf.artefacts.path(link.artefact), root / "chain" / str(n))
        links.append(ChainLink(version_id=link.version_id, folder=f"chain/{n}", manifest_sha256=link.manifest_sha256))
    return ExportSpec(
        base=BaseRef(path=str(version.base_path), digest=version.base_digest),
        chain=tuple(links),
        version_digest=version.digest,
        format=kind,
        dtype=dtype or DTYPES[kind][0],
        card=card(len(links)),
        lineage=None,
        threads=1,
    )


def exported(shelf: Shelf, version: Servable, root: Path, kind: ExportFormat, dtype: ExportDtype | None = None) -> Path:
    """Write an export; return its folder."""
    folder = JobFolder(root)
    run.write(spec_of(shelf, version, root, kind, dtype), folder, enter=lambda _: None)
    return folder.out


def chained(shelf: Shelf, seeds: Sequence[int] = (1, 2)) -> Servable:
    """Return a version of several deltas."""
    version = shelf.original()
    for seed in seeds:
        version = shelf.child(version, seed=seed, sparse=seed % 2 == 1)
    return version

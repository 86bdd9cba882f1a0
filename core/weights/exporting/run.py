"""Writes one export: the version's files, the proof, the model card, the hashes; the manifest last.

preparing    load the base, verify the chain, fold it
publishing   write the format's files
evaluating   open them again with the software that they are for, and compare
"""

import gc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from core.domain.export_spec import KIND, PARITY_FILE, README_FILE, SUMS_FILE, ExportSpec
from core.domain.exports import ExportFormat
from core.domain.job_folder import JobFolder
from core.domain.jobs import Phase
from core.storage import durable, lineages, manifests
from core.weights.exporting import card, parity
from core.weights.exporting.adapter import Adapter
from core.weights.exporting.chain import Chain
from core.weights.exporting.gguf_file import Gguf
from core.weights.exporting.merged import Merged
from core.weights.exporting.version import LoadedVersion, Writer

WRITERS: Final[Mapping[ExportFormat, Writer]] = {
    ExportFormat.DELTA: Chain(),
    ExportFormat.ADAPTER: Adapter(),
    ExportFormat.MERGED: Merged(),
    ExportFormat.GGUF: Gguf(),
}

Enter = Callable[[Phase], None]


def write(spec: ExportSpec, folder: JobFolder, *, enter: Enter) -> str:
    """Write the export into ``folder.out``, anew, and seal it.

    Args:
        spec: what is asked.
        folder: where its paths begin.
        enter: told of every phase; may raise to end the run.

    Returns:
        the SHA-256 of the manifest.

    Raises:
        CorruptError: what is stored of the version is not what was published.
        InvalidError: ``unsupported_export`` or ``parity_failed``.
    """
    torch.set_num_threads(spec.threads)
    enter(Phase.PREPARING)
    version = LoadedVersion.open(spec, folder.root)
    family, stored = version.base.facts.family, version.base.stored_dtype
    writer, out = WRITERS[spec.format], folder.out
    durable.remove_tree(out)
    enter(Phase.PUBLISHING)
    writer.write(version, out)
    own = parity.logits(version.base.model.float(), version.base.tokenizer, family)
    # Two models at once are one too many where one fills the memory.
    del version
    gc.collect()
    enter(Phase.EVALUATING)
    proof = parity.prove(writer.reopen(spec, out), own, spec=spec, family=family, stored=stored)
    (out / PARITY_FILE).write_text(proof.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (out / README_FILE).write_text(card.text(spec, proof), encoding="utf-8")
    return _sealed(spec, out)


def _sealed(spec: ExportSpec, out: Path) -> str:
    sums = "".join(f"{file.sha256}  {file.name}\n" for file in manifests.hash_files(out))
    (out / SUMS_FILE).write_text(sums, encoding="utf-8")
    sha256 = manifests.seal(out, _body(spec) | {"export": spec.identity()})
    if spec.format is ExportFormat.DELTA:
        # Whoever imports it reads it so.
        lineages.unpack(out)
    return sha256


def _body(spec: ExportSpec) -> dict[str, Any]:
    name = spec.card.model
    return (
        lineages.body(name) if spec.format is ExportFormat.DELTA else {"kind": KIND, "schema_version": 1, "name": name}
    )

"""A whole model as a folder: one sealed manifest over its document, its versions' folders and, if wanted, its datasets.

lineage.json              `core.domain.lineage.Lineage`
versions/<number>/        the artefact as it was published, with its own manifest
datasets/<sha256>         the files of rows
README.md, …              of a version's export: the model card, the proof, the list of hashes
manifest.json             written last: every file above by size and hash
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from core.domain import strict_json
from core.domain.errors import ConflictError, CorruptError, InvalidError
from core.domain.export_spec import PARITY_FILE, README_FILE, SUMS_FILE
from core.domain.lineage import SCHEMA_VERSION, WITH_FILES, Lineage, VersionEntry, artefact_key
from core.domain.manifest import Manifest
from core.domain.ports import ArtefactStore, BlobStore
from core.storage import durable, manifests

KIND: Final = "strata.lineage"
DOCUMENT: Final = "lineage.json"
_BESIDE: Final = frozenset({README_FILE, PARITY_FILE, SUMS_FILE})
_VERSIONS: Final = "versions"
_DATASETS: Final = "datasets"


def pack(folder: Path, lineage: Lineage, *, project_id: str, artefacts: ArtefactStore, blobs: BlobStore | None) -> str:
    """Write a model into ``folder``, which must not exist; return the SHA-256 of its manifest.

    Args:
        folder: complete once its manifest is there, and gone where this raises.
        lineage: what the registry knows of the model.
        project_id: whose the model is.
        artefacts: where its versions lie.
        blobs: where its datasets lie; None leaves them out.

    Raises:
        ConflictError: the folder exists.
        MissingError: a version's artefact, or a dataset, is not stored.
        CorruptError: what is stored is not what was published.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise ConflictError("the folder exists already") from error
    try:
        for entry, identity in _stored(lineage):
            key = artefact_key(project_id=project_id, model_id=lineage.model.id, manifest_sha256=identity)
            place = _version_place(folder, entry)
            artefacts.fetch(key, target=place)
            manifests.read(place, sha256=identity)
        if blobs is not None:
            _copy_datasets(blobs, lineage, folder=folder / _DATASETS)
        (folder / DOCUMENT).write_text(lineage.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return manifests.seal(folder, body(lineage.model.name))
    except BaseException:
        durable.remove_tree(folder)
        raise


def body(name: str) -> dict[str, Any]:
    """Return what the manifest of a model's folder says beside its files."""
    return {"kind": KIND, "schema_version": SCHEMA_VERSION, "name": name}


@dataclass(frozen=True, slots=True)
class PackedLineage:
    """A folder that was verified, file by file."""

    folder: Path
    lineage: Lineage

    def artefacts(self) -> Iterator[tuple[str, Path]]:
        """Yield the SHA-256 of each version's manifest, and its folder."""
        for entry, identity in _stored(self.lineage):
            yield identity, _version_place(self.folder, entry)

    def datasets(self) -> Iterator[tuple[str, Path]]:
        """Yield the SHA-256 of each dataset whose file came along, and the file."""
        for sha256 in sorted({entry.sha256 for entry in self.lineage.datasets}):
            if (self.folder / _DATASETS / sha256).is_file():
                yield sha256, self.folder / _DATASETS / sha256


def unpack(folder: Path) -> PackedLineage:
    """Return what ``folder`` holds, once all of it is verified against its hashes and the versions against each other.

    Raises:
        CorruptError: a file is not what was written, is missing, or is none of its; the message names it.
    """
    said = manifests.verify(folder)
    if said.get("kind") != KIND or said.get("schema_version") != SCHEMA_VERSION:
        raise CorruptError("the folder does not hold an exported model that is read here")
    packed = PackedLineage(folder, _document(folder))
    _require_files(packed, {file.name: file.sha256 for file in manifests.hash_files(folder)})
    for entry, identity in _stored(packed.lineage):
        _require_version(packed, entry, identity)
    return packed


def _stored(lineage: Lineage) -> Iterator[tuple[VersionEntry, str]]:
    """Yield the versions whose files are kept, each with the SHA-256 of its manifest."""
    for entry in lineage.versions:
        if entry.manifest_sha256 is not None and entry.state in WITH_FILES:
            yield entry, entry.manifest_sha256


def _version_place(folder: Path, entry: VersionEntry) -> Path:
    return folder / _VERSIONS / str(entry.number)


def _copy_datasets(blobs: BlobStore, lineage: Lineage, *, folder: Path) -> None:
    folder.mkdir()
    for sha256 in {entry.sha256 for entry in lineage.datasets if entry.deleted_ms is None}:
        shutil.copyfile(blobs.path(sha256), folder / sha256)
        if manifests.sha256_of(folder / sha256) != sha256:
            raise CorruptError("a stored dataset does not have the hash that it is named by")


def _document(folder: Path) -> Lineage:
    path = folder / DOCUMENT
    if not path.is_file():
        raise CorruptError(f"{DOCUMENT!r} is missing")
    try:
        return Lineage.model_validate(strict_json.loads(path.read_bytes()))
    except InvalidError as error:
        raise CorruptError(f"{DOCUMENT!r} is not read: {error.detail}") from error
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "the document"
        raise CorruptError(f"{DOCUMENT!r} does not describe a model: {where}: {fault['msg']}") from error


def _require_files(packed: PackedLineage, hashes: dict[str, str]) -> None:
    """Check that the folder holds what the document speaks of, and nothing else."""
    expected = {DOCUMENT} | (_BESIDE & hashes.keys())
    for _, place in packed.artefacts():
        prefix = place.relative_to(packed.folder).as_posix()
        expected |= {f"{prefix}/{name}" for name in (manifests.NAME, *_artefact_files(place, prefix))}
    for sha256, _ in packed.datasets():
        name = f"{_DATASETS}/{sha256}"
        expected.add(name)
        if hashes[name] != sha256:
            raise CorruptError(f"{name!r} does not have the hash that it is named by")
    if odd := sorted(expected ^ hashes.keys()):
        raise CorruptError(f"{odd[0]!r} is {'missing' if odd[0] in expected else 'no part of the model'}")


def _artefact_files(place: Path, prefix: str) -> list[str]:
    if not manifests.is_complete(place):
        raise CorruptError(f"'{prefix}/{manifests.NAME}' is missing")
    return manifests.file_names(place)


def _require_version(packed: PackedLineage, entry: VersionEntry, identity: str) -> None:
    """Check that a version's folder is the one that was published, for this base and on this chain."""
    place = _version_place(packed.folder, entry)
    name = f"{_VERSIONS}/{entry.number}"
    try:
        manifest = Manifest.model_validate(manifests.verify(place, sha256=identity))
    except (CorruptError, ValidationError) as error:
        raise CorruptError(f"{name!r} is not the version that was published") from error
    known = {each.id: each.manifest_sha256 for each in packed.lineage.versions}
    chain = tuple(known[link] for link in entry.chain[:-1])
    told = (manifest.base_digest, manifest.chain, manifest.digest)
    if told != (packed.lineage.base.digest, chain, entry.digest):
        raise CorruptError(f"{name!r} was made for another base, chain or result")

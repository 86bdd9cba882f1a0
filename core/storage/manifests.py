"""A folder is complete once its ``manifest.json`` exists: the last file written, naming every other by size and hash.

The SHA-256 of the manifest's own bytes identifies the folder's whole content.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from core.domain.errors import CorruptError
from core.storage import durable

NAME: Final = "manifest.json"
# Far above any manifest of ours; what is larger is not one and is not read into memory.
MAX_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileHash:
    """One file of a folder: its path inside it (with ``/``), size in bytes and SHA-256 in hex."""

    name: str
    bytes: int
    sha256: str


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content in hex, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(folder: Path) -> tuple[FileHash, ...]:
    """Hash every file below ``folder`` but the manifest, ordered by name."""
    return tuple(
        FileHash(name=name, bytes=path.stat().st_size, sha256=sha256_of(path))
        for name, path in sorted(_files_of(folder).items())
    )


def seal(folder: Path, body: Mapping[str, Any]) -> str:
    """Complete ``folder``: force its files to disk, then write ``body`` and the files' hashes as its manifest.

    ``body`` is JSON; its ``files`` member, if it has one, is replaced by what is on disk.

    Returns:
        the SHA-256 of the manifest, which identifies the content.
    """
    durable.sync_tree(folder)
    files = [asdict(file) for file in hash_files(folder)]
    content = encode({**body, "files": files})
    durable.write_bytes(folder / NAME, content)
    return hashlib.sha256(content).hexdigest()


def encode(manifest: Mapping[str, Any]) -> bytes:
    """Return the one JSON text of a manifest: sorted keys, no NaN, a line break at the end."""
    return json.dumps(manifest, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def is_complete(folder: Path) -> bool:
    """Say whether ``folder`` was sealed; its content may still be damaged (see `verify`)."""
    return (folder / NAME).is_file()


def read(folder: Path, *, sha256: str | None = None) -> dict[str, Any]:
    """Return the manifest of ``folder`` as JSON, without looking at the other files.

    Raises:
        CorruptError: there is none, it is no JSON object, or its hash is not ``sha256``.
    """
    path = folder / NAME
    if not path.is_file():
        raise CorruptError("the folder has no manifest: it was never completed")
    if path.stat().st_size > MAX_BYTES:
        raise CorruptError("the manifest is larger than any manifest can be")
    content = path.read_bytes()
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise CorruptError("the manifest is not the one that was published")
    try:
        manifest = json.loads(content)
    except ValueError as error:
        raise CorruptError("the manifest is not JSON") from error
    if not isinstance(manifest, dict):
        raise CorruptError("the manifest is not a JSON object")
    return manifest


def file_names(folder: Path) -> list[str]:
    """Return the names of the files that the manifest of ``folder`` lists, whether they are there or not.

    Raises:
        CorruptError: there is no manifest, or it names a file twice or outside its folder.
    """
    return sorted(_listed(read(folder)))


def verify(folder: Path, *, sha256: str | None = None) -> dict[str, Any]:
    """Check every file of ``folder`` against its manifest, and that there is no other file.

    Returns:
        the manifest as JSON.

    Raises:
        CorruptError: anything differs; the message names the file.
    """
    manifest = read(folder, sha256=sha256)
    listed = _listed(manifest)
    present = _files_of(folder)
    if set(listed) != set(present):
        odd = sorted(set(listed) ^ set(present))
        raise CorruptError(f"the folder and its manifest name different files, e.g. {odd[0]!r}")
    for name, file in listed.items():
        if present[name].stat().st_size != file.bytes or sha256_of(present[name]) != file.sha256:
            raise CorruptError(f"{name!r} is not the file that was published")
    return manifest


def _listed(manifest: Mapping[str, Any]) -> dict[str, FileHash]:
    try:
        files = [
            FileHash(name=entry["name"], bytes=entry["bytes"], sha256=entry["sha256"]) for entry in manifest["files"]
        ]
    except (KeyError, TypeError) as error:
        raise CorruptError("the manifest does not list its files") from error
    listed = {file.name: file for file in files if _is_inside(file.name)}
    if len(listed) != len(files):
        raise CorruptError("the manifest names a file twice or outside its folder")
    return listed


def _is_inside(name: object) -> bool:
    if not isinstance(name, str) or "\\" in name or "\0" in name:
        return False
    path = PurePosixPath(name)
    return str(path) == name and not path.is_absolute() and ".." not in path.parts and name not in {"", ".", NAME}


def _files_of(folder: Path) -> dict[str, Path]:
    """Return the files below ``folder`` by name. A link is none of ours: it is refused, whatever it points at."""
    found: dict[str, Path] = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise CorruptError(f"{path.name!r} is a link")
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = path
    found.pop(NAME, None)
    return found

"""Writes that survive a power cut: bytes reach the disk before the name that points at them."""

import os
import shutil
from pathlib import Path


def sync(path: Path) -> None:
    """Force the bytes of a file, or the entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Force every file and folder below ``folder``, and itself, to disk."""
    for parent, _folders, files in os.walk(folder, topdown=False):
        for name in files:
            sync(Path(parent) / name)
        sync(Path(parent))


def write_bytes(path: Path, content: bytes) -> None:
    """Create or replace ``path`` in one step: a reader sees all of the old content or all of the new."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync(path.parent)


def make_folder(path: Path) -> None:
    """Create ``path`` and its parents, each entry durable."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder within one file system, durably on both ends.

    Raises:
        OSError: ``target`` is a folder that is not empty, or lies on another file system.
    """
    make_folder(target.parent)
    source.rename(target)
    sync(target.parent)
    if source.parent.is_dir():
        sync(source.parent)


def remove_tree(folder: Path) -> None:
    """Remove a folder and all below it; no error when it is absent."""
    if folder.is_dir():
        shutil.rmtree(folder)

"""Writes that survive a power cut: bytes reach the disk before the name that points at them."""

import os
import shutil
from pathlib import Path

from core.domain.crash_points import crash_point


def sync(path: Path) -> None:
    """Force the bytes of a file, or the entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        crash_point("fsync.before")
        os.fsync(descriptor)
        crash_point("fsync.after")
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
    partial.write_bytes(content)
    sync(partial)
    rename(partial, path)
    sync(path.parent)


def rename(source: Path, target: Path) -> None:
    """Give a file or folder another name, in one step; durable only once the folders of both names are synced.

    Raises:
        OSError: ``target`` is a folder that is not empty, or lies on another file system.
    """
    crash_point("rename.before")
    source.replace(target)
    crash_point("rename.after")


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
    rename(source, target)
    sync(target.parent)
    if source.parent.is_dir():
        sync(source.parent)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder and all below it; ``target`` must be absent. Links stay links.

    Raises:
        OSError: with its number: `shutil.copytree` would hide that the disk is full.
    """
    target.mkdir(parents=True)
    for entry in sorted(source.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            copy_tree(entry, target / entry.name)
        else:
            shutil.copyfile(entry, target / entry.name, follow_symlinks=False)


def remove_tree(folder: Path) -> None:
    """Remove a folder and all below it; no error when it is absent."""
    if folder.is_dir():
        crash_point("removal.before")
        shutil.rmtree(folder)
        crash_point("removal.after")

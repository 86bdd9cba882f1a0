"""A disk without space, as the operating system tells of it: the error keeps its number on the way out."""

import os
import subprocess
import sys
from pathlib import Path

from core.storage import manifests
from tests.chaos.kit import compile_faults

PROGRAM = """
import errno, sys
from pathlib import Path
from core.storage.artefacts import LocalArtefactStore

folder, root = map(Path, sys.argv[1:])
try:
    LocalArtefactStore(root).publish(folder, key="versions/p/m/" + "a" * 64)
except OSError as error:
    sys.stderr.write(errno.errorcode[error.errno])
print(*(path.name for path in root.rglob("*") if path.is_file()))
"""


def publish(folder: Path, root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, str(folder), str(root)]
    return subprocess.run(
        command, env={**os.environ, **environment}, cwd=Path.cwd(), capture_output=True, text=True, check=True
    )


def test_a_full_disk_is_told_as_one_and_leaves_nothing_until_there_is_room(tmp_path: Path) -> None:
    compile_faults(tmp_path / "faults.so")
    folder, full = tmp_path / "out", tmp_path / "full"
    (folder / "memory").mkdir(parents=True)
    (folder / "memory" / "delta").write_text("weights")
    manifests.seal(folder, {})
    faults = {"LD_PRELOAD": str(tmp_path / "faults.so"), "CHAOS_FULL": str(full)}
    full.touch()

    refused = publish(folder, tmp_path / "root", **faults)
    full.unlink()
    stored = publish(folder, tmp_path / "root", **faults)

    assert (refused.stderr, refused.stdout) == ("ENOSPC", "\n")
    assert (stored.stderr, sorted(stored.stdout.split())) == ("", ["delta", "manifest.json"])

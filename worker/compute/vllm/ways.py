"""The two ways in which a vLLM server gets another version: it is started again, or it reads its weights anew."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from core.domain.errors import UnavailableError
from core.storage import durable
from worker.compute.vllm.control import VllmControl

# Under which a server that is never started again serves whatever version it holds.
SERVED_NAME: Final = "strata"
_MODEL_LINK: Final = "model"


class Way(Protocol):
    """How one server is changed, while it is kept from requests."""

    def name(self, version_id: str) -> str:
        """Return the name that the server knows the version by."""

    def known(self, control: VllmControl) -> str | None:
        """Return the id of the version that the server certainly holds; None where it cannot tell."""

    def change(self, server: str, control: VllmControl, *, version_id: str, folder: Path) -> None:
        """Give the server the version of ``folder``; raise UnavailableError where that fails."""


class Restart:
    """Runs the operator's command, which starts the server again on another folder under the version's id.

    The server itself refuses what is asked under another version's name, so no answer can be ascribed to a wrong one.

    Args:
        command: its words; it ends once the server was started, not when it is ready.
        seconds: longest time that it may take.
    """

    def __init__(self, command: Sequence[str], *, seconds: float) -> None:
        self._command = list(command)
        self._seconds = seconds

    def name(self, version_id: str) -> str:
        """Return the version's id."""
        return version_id

    def known(self, control: VllmControl) -> str | None:
        """Return the version that the server names."""
        return next((name for name in sorted(control.names()) if name.startswith("ver_")), None)

    def change(self, server: str, control: VllmControl, *, version_id: str, folder: Path) -> None:
        """Run the command, and wait until the server names the version."""
        told = {"VLLM_ADDRESS": server, "VLLM_MODEL": str(folder), "VLLM_SERVED_MODEL_NAME": version_id}
        try:
            subprocess.run(  # noqa: S603 - the operator's own command
                self._command,
                env=_kept_environment() | told,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                timeout=self._seconds,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise UnavailableError(f"the restart command failed ({type(error).__name__})") from error
        control.await_name(version_id)


class InPlace:
    """Points the link that the server was started on to another folder, and lets it read its weights from there.

    The server cannot tell what it holds: one whose last change this process did not see to its end is changed again.

    Args:
        links: the folder of the servers' links, ``<links>/<host>-<port>/model``.
    """

    def __init__(self, links: Path) -> None:
        self._links = links

    def name(self, version_id: str) -> str:
        """Return the one name."""
        del version_id
        return SERVED_NAME

    def known(self, control: VllmControl) -> str | None:
        """Return nothing: the name stays the same."""
        del control
        return None

    def change(self, server: str, control: VllmControl, *, version_id: str, folder: Path) -> None:
        """Point the link, and reload; a server that is started in between reads the same."""
        del version_id
        point(link_of(self._links, server), folder)
        control.reload()
        control.await_name(SERVED_NAME)


def link_of(links: Path, server: str) -> Path:
    """Return the path that the server at an address is started on."""
    return links / server.partition("://")[2].rstrip("/").replace(":", "-") / _MODEL_LINK


def point(link: Path, folder: Path) -> None:
    """Let ``link`` name ``folder`` in one step, relative to itself: servers may see both under another root."""
    durable.make_folder(link.parent)
    made = link.with_name(f".{link.name}.new")
    made.unlink(missing_ok=True)
    made.symlink_to(os.path.relpath(folder, link.parent))
    durable.rename(made, link)
    durable.sync(link.parent)


def _kept_environment() -> dict[str, str]:
    """Return this process's environment without the service's own settings, some of which are secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STRATA_")}

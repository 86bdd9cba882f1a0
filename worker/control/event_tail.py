"""Reads what a trainer appends to `events.jsonl`, piece by piece."""

from pathlib import Path
from typing import Final

import structlog
from pydantic import ValidationError

from core.domain.job_folder import EVENT, Event

log = structlog.get_logger()

_PIECE_BYTES: Final = 1024 * 1024


class EventTail:
    """Remembers how far it has read; a line that is not finished yet waits for its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._unfinished = b""

    def read(self) -> list[Event]:
        """Return the events that were completed since the last call."""
        if not self._path.exists():
            return []
        events: list[Event] = []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            while piece := file.read(_PIECE_BYTES):
                self._offset += len(piece)
                *lines, self._unfinished = (self._unfinished + piece).split(b"\n")
                events += [event for line in lines if (event := _parse(line)) is not None]
        return events


def _parse(line: bytes) -> Event | None:
    try:
        return EVENT.validate_json(line)
    except ValidationError as error:
        log.warning("trainer.unreadable_event", faults=error.error_count())
        return None

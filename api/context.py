"""What the routes stand on, handed over once by whoever assembles the application."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from core.domain.ports import ArtefactStore, BlobStore, Dispatcher, Generator
from core.registry.work import Registry
from core.settings import Settings

HEARTBEAT_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The ports and settings of one running API.

    Attributes:
        heartbeat_seconds: longest silence of an event stream.
        at_shutdown: closes what the assembler opened, in this order.
    """

    settings: Settings
    registry: Registry
    blobs: BlobStore
    artefacts: ArtefactStore
    dispatcher: Dispatcher
    generator: Generator
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    at_shutdown: tuple[Callable[[], None], ...] = ()

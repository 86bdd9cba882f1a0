"""The application of one process, as the ``STRATA_…`` variables describe it; `api.__main__` serves it."""

from collections.abc import Callable
from typing import Final

from fastapi import FastAPI

from api.context import Context
from api.main import assemble
from core.backends import assembly
from core.dispatch.local import LocalDispatcher
from core.domain.ports import Dispatcher
from core.registry.work import Registry
from core.settings import Settings
from core.signals import logs
from core.storage import opening

# A caller shall hear within 5 seconds that the registry is away: waiting for a turn and for the lock takes twice this.
REGISTRY_PATIENCE_SECONDS: Final = 2.2


def build(settings: Settings) -> FastAPI:
    """Return the application that ``settings`` describe; nothing is opened before the first request."""
    registry = Registry(settings.database_url, patience_seconds=REGISTRY_PATIENCE_SECONDS)
    dispatcher, close_dispatcher = _dispatcher(settings)
    backends = assembly.pool(
        settings.all_backends,
        engine_secret=settings.engine_secret,
        timeout_seconds=settings.engine_timeout_seconds,
        poll_seconds=settings.poll_seconds,
    )
    context = Context(
        settings=settings,
        registry=registry,
        blobs=opening.blob_store(settings.blobs_dir, **settings.storage),
        artefacts=opening.artefact_store(settings.artefacts_dir, **settings.storage),
        dispatcher=dispatcher,
        generator=backends,
        at_shutdown=(close_dispatcher, backends.close, registry.close),
    )
    return assemble(context)


def _dispatcher(settings: Settings) -> tuple[Dispatcher, Callable[[], None]]:
    if settings.dispatcher == "local":
        return LocalDispatcher(), lambda: None
    from core.dispatch.broker import BrokerDispatcher

    dispatcher = BrokerDispatcher.over(settings.broker_url)
    return dispatcher, dispatcher.close


_settings = Settings()
logs.configure(_settings.log_format)
app = build(_settings)

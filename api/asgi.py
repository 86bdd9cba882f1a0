"""The API of one process, as the ``STRATA_…`` variables describe it: ``uvicorn api.asgi:app``."""

from fastapi import FastAPI

from api import logs
from api.engine_client import EngineClient
from api.main import create_app
from core.dispatch.local import LocalDispatcher
from core.domain.ports import Dispatcher
from core.registry.work import Registry
from core.settings import Settings
from core.storage.blobs import LocalBlobStore


def build(settings: Settings) -> FastAPI:
    """Return the application that ``settings`` describe; nothing is opened before the first request."""
    return create_app(
        settings,
        registry=Registry(settings.database_url),
        blobs=LocalBlobStore(settings.blobs_dir),
        dispatcher=_dispatcher(settings),
        generator=EngineClient(
            settings.engine_address,
            secret=settings.engine_secret.get_secret_value() if settings.engine_secret else None,
            timeout_seconds=settings.engine_timeout_seconds,
        ),
    )


def _dispatcher(settings: Settings) -> Dispatcher:
    if settings.dispatcher == "local":
        return LocalDispatcher()
    from core.dispatch.broker import BrokerDispatcher

    return BrokerDispatcher.over(settings.broker_url)


logs.configure()
app = build(Settings())

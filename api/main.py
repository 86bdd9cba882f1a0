"""The application, assembled from its parts. It decides nothing."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any, Final

from fastapi import Depends, FastAPI

from api import documentation, errors, multipart, openapi
from api.context import Context
from api.dependencies import caller, single_query_values
from api.exposition import ServiceCollector
from api.gate import Gate
from api.generation_room import GenerationRoom
from api.metering import Metering, Meters
from api.middleware import Doorkeeper
from api.routes.catalogue import ROUTERS
from api.schemas.problem import Problem
from api.security import Security
from core.domain.ports import ArtefactStore, BlobStore, Dispatcher, Generator
from core.registry.work import Registry
from core.services import projects
from core.settings import Settings
from core.storage import opening

_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"description": "The request is at fault.", "content": {errors.MEDIA_TYPE: {}}, "model": Problem},
    "5XX": {"description": "The service is at fault.", "content": {errors.MEDIA_TYPE: {}}, "model": Problem},
}


def create_app(
    settings: Settings,
    *,
    registry: Registry,
    blobs: BlobStore,
    dispatcher: Dispatcher,
    generator: Generator,
    artefacts: ArtefactStore | None = None,
) -> FastAPI:
    """Return the API over these ports. The registry's schema must be in place before the first request.

    Without ``artefacts`` it is the store that the settings name.
    """
    context = Context(
        settings=settings,
        registry=registry,
        blobs=blobs,
        artefacts=artefacts or opening.artefact_store(settings.artefacts_dir, **settings.storage),
        dispatcher=dispatcher,
        generator=generator,
    )
    return assemble(context)


def assemble(context: Context) -> FastAPI:
    """Return the API over a context."""
    app = FastAPI(
        title="Strata",
        version="0.1.0",
        description="Continual fine-tuning as a service.",
        lifespan=_lifespan,
        dependencies=[Depends(caller), Depends(single_query_values)],
        responses=_ERRORS,
        docs_url=None,
        redoc_url=None,
        # Another spelling of an address is another address: nobody is sent elsewhere.
        redirect_slashes=False,
        generate_unique_id_function=openapi.operation_id,
    )
    gate = Gate(context.settings, context.registry)
    app.state.context = context
    app.state.gate = gate
    app.state.security = Security(context, gate)
    app.state.routers = ROUTERS
    app.state.generation_room = GenerationRoom(project_most=context.settings.project_max_generations)
    errors.install(app)
    app.add_middleware(Doorkeeper, gate=gate)
    app.state.meters = Meters()
    app.state.meters.registry.register(ServiceCollector(context))
    app.add_middleware(Metering, meters=app.state.meters, logs_requests=context.settings.log_requests)
    for router in ROUTERS:
        app.include_router(router)
    documentation.install(app)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    with context.registry.write() as work:
        projects.ensure_default(work)
    app.state.gate.require_safe_start()
    multipart.remove_leftovers(context.settings.uploads_dir)
    with ExitStack() as closing:
        for close in reversed(context.at_shutdown):
            closing.callback(close)
        yield

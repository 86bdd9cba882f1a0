"""`python -m api`: the API of one process, as the ``STRATA_…`` variables describe it."""

import asyncio
import resource
from functools import partial
from typing import Final, cast

import uvicorn

from api import http_protocol
from api.asgi import app
from api.http_protocol import BoundedProtocol, Patience
from core.settings import Settings

# Of the registry, of uploads and of the engine, beside those of callers.
_OWN_FILES: Final = 512
_STREAMS_STOP_WITHIN_SECONDS: Final = 3


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = Settings()
    patience = Patience(
        head_seconds=settings.request_head_seconds,
        body_seconds=settings.request_body_seconds,
        max_connections=_connections(settings.max_connections),
    )
    uvicorn.run(
        app,
        host=settings.api_host,
        port=settings.api_port,
        http=cast("type[asyncio.Protocol]", partial(BoundedProtocol, patience=patience)),
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=http_protocol.MAX_HEAD_BYTES,
        timeout_graceful_shutdown=_STREAMS_STOP_WITHIN_SECONDS,
    )


def _connections(wanted: int) -> int:
    """Let this process open the files that ``wanted`` connections need; return how many it can hold."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OWN_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, max(soft - _OWN_FILES, soft // 2))


if __name__ == "__main__":
    main()

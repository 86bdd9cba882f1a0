"""`python -m worker.control`: a worker that polls the registry, until it is told to stop."""

import signal
import threading
from types import FrameType

import structlog

from core.settings import Settings
from core.signals import logs
from worker.control import assembly
from worker.control.loop import poll

log = structlog.get_logger()


def main() -> None:
    """Work until SIGTERM or SIGINT; a running job then goes back to its queue."""
    settings = Settings()
    logs.configure(settings.log_format)
    stop = threading.Event()

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)
    with assembly.open_context(settings) as context:
        log.info("worker.started", dispatcher="local")
        poll(context, stop=stop)
    log.info("worker.stopped")


if __name__ == "__main__":
    main()

"""How every process logs: one fact a line on standard error, as JSON, or as key=value where people read it.

What is bound by `structlog.contextvars` (a request's id, a job's ids) stands in every line that is logged meanwhile.
No character of a value can break out of its line or steer a terminal. What libraries log comes out the same way.
"""

import logging
import re
import sys
from typing import Final, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["auto", "json", "text"]

# C0 and C1 controls, and what Unicode counts as line ends.
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_FIRST: Final = ("timestamp", "level", "event")
_HANDLER: Final = "strata"


def configure(style: LogFormat) -> None:
    """Set logging up for this process; ``auto`` is key=value on a terminal and JSON elsewhere."""
    as_json = style == "json" or (style == "auto" and not sys.stderr.isatty())
    facts: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    shown: list[Processor] = [structlog.processors.format_exc_info, *(_json() if as_json else _text())]
    structlog.configure(
        processors=[*facts, *shown],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(_HANDLER)
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*facts, structlog.stdlib.add_logger_name], processors=[remove_meta, *shown]
        )
    )
    root = logging.getLogger()
    for old in [each for each in root.handlers if each.get_name() == _HANDLER]:
        root.removeHandler(old)
    root.addHandler(handler)


def _json() -> list[Processor]:
    return [_ordered, structlog.processors.JSONRenderer()]


def _text() -> list[Processor]:
    return [_escaped, structlog.processors.LogfmtRenderer(key_order=_FIRST, drop_missing=True)]


def _ordered(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    first = {key: event_dict[key] for key in _FIRST if key in event_dict}
    return {**first, **event_dict}


def _escaped(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    return {
        key: _CONTROLS.sub(_escape, value) if isinstance(value, str) else value for key, value in event_dict.items()
    }


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")

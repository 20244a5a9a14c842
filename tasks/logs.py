"""Logs: one JSON object a line, carrying request, job, run and step wherever they are known."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import structlog

from schema.redaction import HIDDEN, SECRET_NAMES, redacted

#: Libraries that say at INFO what our own lines say better, or say it every second.
_QUIET = (
    "alembic",
    "celery.app.trace",
    "celery.beat",
    "celery.worker.strategy",
    "httpcore2",
    "httpx2",
    "kombu",
    "openai",
    "tornado.access",
    "urllib3",
)


#: Called with the name of the line and the error, for every line that carries one (``tasks.tracing``).
crash_listeners: list[Callable[[str, BaseException], None]] = []


def _tell_listeners(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if crash_listeners and line.get("exc_info"):
        error = line["exc_info"] if isinstance(line["exc_info"], BaseException) else sys.exc_info()[1]
        if error is not None:
            for listener in crash_listeners:
                listener(str(line.get("event")), error)
    return line


def _nameless(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Hide what is written under the name of a secret."""
    for name in line:
        if isinstance(line[name], str) and name.lower() in SECRET_NAMES:
            line[name] = HIDDEN
    return line


class _Rendered:
    """A line as JSON, without secrets: the traces of errors in it, and whatever stands within a value, included."""

    def __init__(self) -> None:
        self._render = structlog.processors.JSONRenderer(ensure_ascii=False)

    def __call__(self, logger: object, method: str, line: structlog.typing.EventDict) -> str:
        return redacted(str(self._render(logger, method, line)))


def configure(level: str) -> None:
    """Send our own logs and those of libraries through the same JSON renderer, to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _tell_listeners,
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _nameless,
                _Rendered(),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )

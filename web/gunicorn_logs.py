"""gunicorn's own lines, without secrets: of a request that breaks it, it repeats the address, and that may hold one."""

from __future__ import annotations

import logging
from typing import Any

from gunicorn.glogging import Logger as Usual

from schema.redaction import redacted


class _Redacting(logging.Formatter):
    def __init__(self, usual: logging.Formatter) -> None:
        super().__init__()
        self._usual = usual

    def format(self, record: logging.LogRecord) -> str:
        return redacted(self._usual.format(record))


class Logger(Usual):  # type: ignore[misc]
    """The usual one, its formatters wrapped."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(_Redacting(handler.formatter or logging.Formatter()))

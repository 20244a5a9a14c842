"""gunicorn's own knobs."""

from __future__ import annotations

import os

from schema.settings import settings
from storage.processes import end_with_parent
from web.address import with_port

_settings = settings()

bind = with_port(_settings.host, _settings.port)
workers = _settings.web_concurrency
worker_class = "gthread"
# Imported once, then forked; every process makes its own connections (tasks.deps is keyed by pid).
preload_app = True
threads = 8
graceful_timeout = 8
timeout = 60
keepalive = 15
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112 - a heartbeat must not wait for a disk
errorlog = "-"
accesslog = None
control_socket_disable = True


def post_fork(_server: object, _worker: object) -> None:
    """A worker whose master was killed must not go on holding the port."""
    end_with_parent()

"""gunicorn's own knobs."""

from __future__ import annotations

import gc
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import psutil

from schema.settings import settings
from storage.processes import end_with_parent
from web.address import with_port

_settings = settings()

bind = with_port(_settings.host, _settings.port)
workers = _settings.web_concurrency
worker_class = "web.gunicorn_worker.Worker"
# Imported once, then forked; every process makes its own connections (tasks.deps is keyed by pid).
preload_app = True
threads = 8
# The supervisor kills what has not stopped after nine seconds, and the master needs some of them for itself.
graceful_timeout = 6
timeout = 60
keepalive = 15
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112 - a heartbeat must not wait for a disk
errorlog = "-"
logger_class = "web.gunicorn_logs.Logger"
accesslog = None
control_socket_disable = True
# Nobody's X-Forwarded-... is believed here, whoever connects: web.guarding.proxies believes TRUSTED_PROXIES.
forwarded_allow_ips = ""
# An address with its query, the number of headers, and the length of each, in bytes.
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190


def _metrics_folder() -> str:
    """A fresh folder in which the processes count requests (``web.traffic``); what killed masters left is removed."""
    place = Path(worker_tmp_dir or tempfile.gettempdir())
    for left in place.glob("coursewright-web-*"):
        named = re.fullmatch(r"coursewright-web-(\d+)-\w+", left.name)
        if named and not psutil.pid_exists(int(named[1])):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"coursewright-web-{os.getpid()}-", dir=place)


# The only way to tell prometheus_client, and before anything imports it.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _metrics_folder()


def post_fork(_server: object, _worker: object) -> None:
    """A worker whose master was killed must not go on holding the port."""
    end_with_parent()


def child_exit(_server: object, worker: Any) -> None:
    """What a process had open is not open any more (``web.traffic``)."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - not before the folder is named

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def worker_exit(_server: object, _worker: object) -> None:
    """A process that ends need not look for garbage first: on a busy machine that took four seconds of its nine."""
    gc.freeze()


def on_exit(_server: object) -> None:
    """The folder goes with the master."""
    gc.freeze()
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)

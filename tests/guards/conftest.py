from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from flask import Flask

from schema.settings import read_settings
from storage.bus import Bus
from storage.db import Database, make_engine
from storage.engine.queue import Sending
from storage.objects import ObjectStore
from tasks import deps as wiring
from tasks.deps import Deps
from web.app import create_app

ROOT = Path(__file__).parents[2]
#: Port 1 answers to nobody: whatever reaches out fails at once instead of finding something.
NOWHERE = {
    "DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/nowhere",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "S3_ENDPOINT_URL": "http://127.0.0.1:1",
    "S3_ACCESS_KEY": "nobody",
    "S3_SECRET_KEY": "nothing",
    "SECRET_KEY": "signs nothing that counts",
    "AGENT_TOKEN": "opens nothing",
    "RATE_LIMIT_PER_MINUTE": "1000000",
}


def _unsendable(sending: Sending) -> None:
    raise AssertionError(f"A guard sent {sending}.")


@pytest.fixture(scope="module")
def app() -> Iterator[Flask]:
    """The web application as it is served, connected to nothing."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    kept = dict(wiring._wired)
    settings = read_settings(NOWHERE)
    deps = Deps(
        settings=settings,
        db=Database(make_engine(settings.database_url, name="guards")),
        bus=Bus(settings.redis_url),
        objects=ObjectStore(settings.s3),
        send=_unsendable,
    )
    wiring.use(deps)
    try:
        yield create_app()
    finally:
        deps.close()
        wiring._wired.clear()
        wiring._wired.update({key: wired for key, wired in kept.items() if key[0] == os.getpid()})
        structlog.reset_defaults()
        root.handlers = handlers
        root.setLevel(level)

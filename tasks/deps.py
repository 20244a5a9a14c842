"""Every outside thing, wired once a process. Tests hand in their own."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from schema.clock import short_code
from schema.settings import ModelLimits, Settings, settings
from storage.bus import Bus
from storage.db import Database
from storage.engine.queue import Sending
from storage.objects import ObjectStore
from storage.postgres.connecting import database_of
from storage.shares.quick_redis import QuickRedis
from tasks.watch import Watcher

if TYPE_CHECKING:  # importing these costs half a second and is only needed where a model is
    from storage.shares.rates import Rates
    from tasks.clients.gate import Gate
    from tasks.clients.images import ImageClient
    from tasks.clients.text import TextClient


@dataclass
class Deps:
    """What the deeds need from outside. ``send`` puts one message on the broker. ``ask_dispatch`` has somebody else
    send what is due, for a process that can't see it all (the web): none where this one can."""

    settings: Settings
    db: Database
    bus: Bus
    objects: ObjectStore
    send: Callable[[Sending], None]
    ask_dispatch: Callable[[], None] | None = None
    #: A random number from 0 to 1, for waits that must not all end together.
    luck: Callable[[], float] = random.random
    #: Who writes, as leases name it. Never the name of an earlier process: a restarted container keeps host and pid.
    holder: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{short_code()}")

    @cached_property
    def watcher(self) -> Watcher:
        return Watcher(self.db, self.settings.jobs.heartbeat_seconds, self.holder)

    @cached_property
    def writers(self) -> ThreadPoolExecutor:
        """Threads that write down model calls, so that the event loop of the calls never waits for the database."""
        return ThreadPoolExecutor(2, thread_name_prefix="calls")

    @cached_property
    def text(self) -> TextClient:
        from tasks.clients.text import TextClient  # noqa: PLC0415
        from tasks.work import note_call  # noqa: PLC0415

        return TextClient(self.settings.model, note_call, self.gate)

    @cached_property
    def images(self) -> ImageClient:
        from tasks.clients.images import ImageClient  # noqa: PLC0415
        from tasks.work import note_call  # noqa: PLC0415

        return ImageClient(self.settings.model, note_call, self.gate)

    @cached_property
    def gate(self) -> Gate:
        """What every call of this process to a model must pass. Redis is asked only where a limit a minute is set."""
        from storage.spending.allowances import Allowances  # noqa: PLC0415
        from tasks.clients.gate import Gate  # noqa: PLC0415
        from tasks.work import held_now  # noqa: PLC0415

        model = self.settings.model
        limited = model.limits != ModelLimits()
        allowances = Allowances(self.settings.redis_url, model.limits) if limited else None
        return Gate(self.db, model, held_now, allowances, self.luck)

    @cached_property
    def quick_redis(self) -> QuickRedis:
        """Redis for what a request can do without."""
        return QuickRedis(self.settings.redis_url)

    @cached_property
    def rates(self) -> Rates:
        from storage.shares.rates import Rates  # noqa: PLC0415 - only the web counts requests

        return Rates(self.quick_redis)

    def close(self) -> None:
        if "quick_redis" in self.__dict__:
            self.quick_redis.close()
        if "watcher" in self.__dict__:
            self.watcher.close()
        if "gate" in self.__dict__:
            self.gate.close()
        self.db.dispose()
        self.bus.close()


#: By process, for a forked child must not share its parent's sockets; and whether they are the web's.
_wired: dict[tuple[int, bool], Deps] = {}
_wiring = threading.Lock()


def wire(name: str = "worker", *, ping: bool = False, pool_size: int = 8) -> Deps:
    """The deps of this process, made on first use. Those of the ``web`` reach the database as its role, which is held
    to the organization of each request (``storage.postgres.connecting``)."""
    key = os.getpid(), name == "web"
    if (wired := _wired.get(key)) is not None:
        return wired
    with _wiring:  # the first requests of a process come at once, and one pool is what it may have
        if key not in _wired:
            from tasks.app import ask_dispatch, send  # noqa: PLC0415

            read = settings()
            for forked in [other for other in _wired if other[0] != os.getpid()]:
                del _wired[forked]
            _wired[key] = Deps(
                settings=read,
                db=database_of(read, name, ping=ping, pool_size=pool_size),
                bus=Bus(read.redis_url),
                objects=ObjectStore(read.s3),
                send=send,
                ask_dispatch=ask_dispatch if name == "web" else None,
            )
        return _wired[key]


def use(deps: Deps, web: Deps | None = None) -> None:
    """Make these the deps of this process, and ``web`` those of its views (for tests)."""
    _wired.clear()
    _wired[os.getpid(), False] = deps
    _wired[os.getpid(), True] = web or deps

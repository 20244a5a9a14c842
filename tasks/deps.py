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
from storage.db import Database, make_engine
from storage.objects import ObjectStore
from storage.queue import Sending
from tasks.watch import Watcher

if TYPE_CHECKING:  # importing these costs half a second and is only needed where a model is
    from tasks.clients.gate import Gate
    from tasks.clients.images import ImageClient
    from tasks.clients.text import TextClient


@dataclass
class Deps:
    """What the deeds need from outside. ``send`` puts one message on the broker."""

    settings: Settings
    db: Database
    bus: Bus
    objects: ObjectStore
    send: Callable[[Sending], None]
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
        from storage.allowances import Allowances  # noqa: PLC0415
        from tasks.clients.gate import Gate  # noqa: PLC0415
        from tasks.work import held_now  # noqa: PLC0415

        model = self.settings.model
        limited = model.limits != ModelLimits()
        allowances = Allowances(self.settings.redis_url, model.limits) if limited else None
        return Gate(self.db, model, held_now, allowances, self.luck)

    def close(self) -> None:
        if "watcher" in self.__dict__:
            self.watcher.close()
        if "gate" in self.__dict__:
            self.gate.close()
        self.db.dispose()
        self.bus.close()


_wired: dict[int, Deps] = {}
_wiring = threading.Lock()


def wire(name: str = "worker", *, ping: bool = False, pool_size: int = 8) -> Deps:
    """The deps of this process, made on first use. Keyed by pid: a forked child must not share its parent's sockets."""
    pid = os.getpid()
    if (wired := _wired.get(pid)) is not None:
        return wired
    with _wiring:  # the first requests of a process come at once, and one pool is what it may have
        if pid not in _wired:
            from tasks.app import send  # noqa: PLC0415

            read = settings()
            _wired.clear()
            _wired[pid] = Deps(
                settings=read,
                db=Database(make_engine(read.database_url, name=name, pool_size=pool_size, ping=ping)),
                bus=Bus(read.redis_url),
                objects=ObjectStore(read.s3),
                send=send,
            )
        return _wired[pid]


def use(deps: Deps) -> None:
    """Make these the deps of this process (for tests)."""
    _wired.clear()
    _wired[os.getpid()] = deps

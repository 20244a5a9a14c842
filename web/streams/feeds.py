"""What can be followed: the events of a job, the changes of a catalog. A feed reads what lies beyond a number, and
frames it once for everybody. Reading blocks; it is done on a thread that serves all organizations: each read enters
the one it is about (``storage.wall``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from schema.clock import iso, utc_now
from storage import catalog, events, wall
from storage.db import Database
from web import sse

Key = tuple[str, UUID]
#: A catalog is followed as it is, or as viewers see it.
CATALOGS = ("catalog", "catalog_of_viewers")


@dataclass(frozen=True)
class Page:
    """What a feed has after a number: ``frames`` by their numbers, oldest first, and ``head``, the newest number there
    is. ``over``: nothing will ever come after it. When what comes after the number can't be told any more, there are no
    frames; whoever stood there gets ``instead``, which brings them to the number with it."""

    head: int
    frames: list[tuple[int, bytes]]
    over: bool = False
    instead: tuple[int, bytes] | None = None


class Feed(Protocol):
    """``kind`` names it in the metrics; of one ``key`` there is one channel in a process."""

    @property
    def kind(self) -> str: ...

    @property
    def key(self) -> Key: ...

    def read(self, after: int) -> Page | None:
        """At most a thousand of what comes after a number; none when there is nothing to follow any more. Raises
        ``Unavailable``."""


@dataclass(frozen=True)
class JobFeed:
    """The events of a job. ``shown`` reads the job as the API shows it, and the number of the last event in it."""

    db: Database
    organization_id: UUID
    job_id: UUID
    shown: Callable[[], tuple[dict[str, Any], int] | None]
    kind: str = "job"

    @property
    def key(self) -> Key:
        return "job", self.job_id

    def read(self, after: int) -> Page | None:
        with wall.within(self.organization_id):
            found = events.look(self.db, self.organization_id, self.job_id, after)
            if found is None:
                return None
            if found.missed:
                return self._snapshot()
        frames = [(event["seq"], sse.frame(event, event["seq"])) for event in found.found]
        return Page(found.last_seq, frames, found.over)

    def _snapshot(self) -> Page | None:
        """The job itself for those whose events are purged. The number comes in a block of its own, because what has no
        number can't be asked for again: a client that comes back goes on after it."""
        read = self.shown()
        if read is None:
            return None
        job, last = read
        shown = {"type": "job_snapshot", "jobId": str(self.job_id), "timestamp": iso(utc_now()), "job": job}
        return Page(last, [], instead=(last, sse.frame(shown) + sse.seen(last)))


@dataclass(frozen=True)
class CatalogFeed:
    """The changes of a catalog; ``private`` is whether those of private courses are told."""

    db: Database
    catalog_id: UUID
    private: bool = True

    @property
    def kind(self) -> str:
        return "public_catalog" if self.catalog_id == catalog.PUBLIC else "catalog"

    @property
    def key(self) -> Key:
        return CATALOGS[not self.private], self.catalog_id

    def read(self, after: int) -> Page | None:
        with wall.within(None if self.catalog_id == catalog.PUBLIC else self.catalog_id):
            found = catalog.timed_changes(self.db, self.catalog_id, after, private=self.private)
        version = found["version"]
        if found.get("reset"):
            told = {"type": "reset", "timestamp": iso(utc_now()), "catalogVersion": version}
            return Page(version, [], instead=(version, sse.frame(told, version)))
        return Page(version, [(change["version"], _changed(change)) for change in found["changes"]])


def _changed(change: dict[str, Any]) -> bytes:
    told = {
        "type": "catalog_updated",
        "timestamp": change["at"],
        "courseId": change["courseId"],
        "action": change["action"],
        "catalogVersion": change["version"],
        "entry": change["entry"],
    }
    return sse.frame(told, change["version"])


def worth_a_look(seen: Sequence[tuple[Feed, int]]) -> set[Key]:
    """Of these feeds, with the number seen last of each, those that may have more. Jobs, of which there may be
    thousands, are asked about in one statement for each organization. Raises ``Unavailable``."""
    found = {feed.key for feed, _ in seen if not isinstance(feed, JobFeed)}
    jobs: dict[UUID, dict[UUID, int]] = {}
    for feed, head in seen:
        if isinstance(feed, JobFeed):
            jobs.setdefault(feed.organization_id, {})[feed.job_id] = head
            db = feed.db
    for organization_id, heads in jobs.items():
        with wall.within(organization_id):
            found |= {("job", job_id) for job_id in events.told_beyond(db, heads)}
    return found

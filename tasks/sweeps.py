"""Objects nobody needs any more: what jobs wrote for operators, once it is old, and orphans, which nothing in the
database stands for.

Each tick goes through a stretch of each bucket and deletes a bounded number. Where it stopped is remembered in this
process alone; after a restart it begins anew, because every look decides by itself.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog

from storage.engine import corrections
from storage.engine.orphans import Kind, orphans
from storage.objects import DEBUG, Found, ObjectStore
from tasks.deps import Deps

log = structlog.get_logger(__name__)

#: In each tick the most objects of a bucket that are looked at and deleted; how many are listed and judged together.
LOOKED_AT, DELETED = 10_000, 1000
LISTED, PAGE = 1000, 250
#: After so many seconds a bucket's turn is over: nobody else of this process may be at the store meanwhile.
SECONDS = 3.0
#: Somebody may be between the bytes and their row, or the other way round.
YOUNGEST_HOURS = 24.0
#: When more than this many and more than half of a page are orphans, the database is more likely the wrong one (empty,
#: or from another place) than the store full of rubbish. Then a person decides.
SUSPICIOUS = 20

_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
#: What may be deleted, by its key; the groups say what it is about. Other keys are left alone, whatever they are.
_COURSES: dict[Kind, re.Pattern[str]] = {
    "debug": re.compile(rf"{DEBUG}({_ID})/jobs/({_ID})/.+"),
    "catalog": re.compile(rf"({_ID})/(catalog)\.json"),
    "document": re.compile(rf"({_ID})/([A-Za-z0-9-]{{1,64}})/(?:course|versions/[0-9]+)\.json"),
}
_MEDIA: dict[Kind, re.Pattern[str]] = {"asset": re.compile(rf"({_ID})/([0-9a-f]{{64}}\.[a-z0-9]+)")}

_stopped_at: WeakKeyDictionary[ObjectStore, dict[str, str]] = WeakKeyDictionary()


def sweep(deps: Deps) -> dict[str, int]:
    """Sweep a stretch of both buckets. Returns how many objects of each kind were deleted. Raises ``Transient`` when
    the store is away."""
    s3 = deps.settings.s3
    swept = Counter[str]()
    for bucket, keys in ((s3.courses_bucket, _COURSES), (s3.media_bucket, _MEDIA)):
        _sweep_bucket(deps, bucket, keys, swept)
    if swept:
        log.info("swept", **swept)
    return dict(swept)


def _sweep_bucket(deps: Deps, bucket: str, keys: Mapping[Kind, re.Pattern[str]], swept: Counter[str]) -> None:
    stopped_at = _stopped_at.setdefault(deps.objects, {})
    now = deps.objects.clock()
    room, until = DELETED, time.monotonic() + SECONDS
    for _ in range(LOOKED_AT // LISTED):
        listed = deps.objects.list(bucket, stopped_at.get(bucket, ""), LISTED)
        for start in range(0, len(listed), PAGE):
            page = listed[start : start + PAGE]
            # Moved on before anything is deleted: what the store refuses to delete must not stop the rest for ever.
            stopped_at[bucket] = page[-1].key
            for kind, pattern in keys.items():
                if count := _let_go(deps, bucket, kind, _about(page, pattern), now):
                    swept[kind] += count
                    room -= count
            if room < PAGE or time.monotonic() > until or deps.watcher.stopping():
                return
        if len(listed) < LISTED:
            stopped_at[bucket] = ""
            return


@dataclass(frozen=True)
class _Thing:
    """An object, and the organization and the name it is about."""

    found: Found
    organization_id: UUID
    name: str


def _about(page: Sequence[Found], pattern: re.Pattern[str]) -> list[_Thing]:
    matches = ((found, pattern.fullmatch(found.key)) for found in page)
    return [_Thing(found, UUID(match[1]), match[2]) for found, match in matches if match]


def _let_go(deps: Deps, bucket: str, kind: Kind, things: Sequence[_Thing], now: datetime) -> int:
    """Delete those that are old enough and that nothing stands for. Returns how many."""
    hours = deps.settings.retention.job_hours if kind == "debug" else YOUNGEST_HOURS
    before = now - timedelta(hours=hours)
    old = [thing for thing in things if thing.found.written_at < before]
    if not old:
        return 0
    lost = orphans(deps.db, kind, [(thing.organization_id, thing.name) for thing in old])
    gone = [thing.found.key for thing in old if (thing.organization_id, thing.name) in lost]
    if kind != "debug":
        if len(gone) > max(SUSPICIOUS, len(things) / 2):
            log.error("sweep_refused", bucket=bucket, kind=kind, orphans=len(gone), first=gone[0], last=gone[-1])
            return 0
        gone = [key for key in gone if _still_old(deps, bucket, key, before)]
    if gone:
        deps.objects.delete(bucket, gone)
        if kind != "debug":
            log.warning("orphans_deleted", bucket=bucket, kind=kind, keys=gone)
            corrections.count(deps.db, f"orphan_{kind}", len(gone))
    return len(gone)


def _still_old(deps: Deps, bucket: str, key: str, before: datetime) -> bool:
    """Look again right before the end: the same bytes may just have been stored for somebody who needs them."""
    stored = deps.objects.stored(bucket, key)
    return stored is not None and stored.written_at is not None and stored.written_at < before

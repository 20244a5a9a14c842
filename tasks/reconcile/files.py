"""``course.json`` and ``catalog.json``: what the rows say is in the store must be there, and not be older. And a course
that is there must be listed, also when the job that made it never got that far (decision 11).

Goes round all of them, a few each time, the longest unseen first. No transaction is open while the store is asked.
Whether a file was written again is decided by the store, which takes it on the condition that nobody else did.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog

from schema.course import Course
from schema.errors import Transient, Unavailable
from storage import catalog, documents, organizations
from storage.catalog import Listing
from storage.objects import ObjectStore
from tasks import publish
from tasks.deps import Deps
from tasks.listing import list_or_wait

log = structlog.get_logger(__name__)

#: How many are looked at in one round, and for how many seconds at most.
AT_ONCE = 50
ROUND_SECONDS = 2.0
#: What was seen in the store is not looked at again for so long, in seconds.
VERIFY_AFTER = 3600.0
CATALOGS_AFTER = 600.0
#: A job writes its course within moments of saving it; after so many seconds nobody is at it any more.
UNSTORED_AFTER = 5.0


def write_unstored(deps: Deps, older_than_seconds: float = UNSTORED_AFTER) -> Iterator[str]:
    """Write courses whose current revision never got to the store: a worker died between the two."""
    for revision in documents.unstored(deps.db, older_than_seconds):
        try:
            written = publish.publish_document(deps, revision)
        except Transient as error:
            # One that the store refuses must not keep the others waiting.
            log.warning("document_waits_for_the_store", document=revision.document_id, reason=error.code)
            continue
        if written:
            log.warning("file_corrected", kind="document_unwritten", document=revision.document_id)
            yield "document_unwritten"


def mend_documents(deps: Deps) -> Iterator[str]:
    """Write ``course.json`` again where it is gone from the store or older than its row says, and list courses that
    nobody will list any more."""
    due = documents.longest_unverified(deps.db, VERIFY_AFTER, AT_ONCE)
    random.shuffle(due)  # one that the store always refuses is not in everybody's way for ever
    seen: list[documents.Kept] = []
    until = time.monotonic() + ROUND_SECONDS
    try:
        for kept in due:
            if time.monotonic() > until:
                break
            if kept.revision and _document_written_again(deps, kept):
                log.warning("file_corrected", kind="document_lost", document=kept.document_id, revision=kept.revision)
                yield "document_lost"
            if kept.unlisted and _listed(deps, kept):
                log.warning("file_corrected", kind="course_unlisted", document=kept.document_id, revision=kept.revision)
                yield "course_unlisted"
            seen.append(kept)
    finally:
        if seen:
            documents.mark_verified(deps.db, seen)


def _document_written_again(deps: Deps, kept: documents.Kept) -> bool:
    key = publish.course_key(kept.organization_id, kept.document_id)
    found = deps.objects.stored(deps.settings.s3.courses_bucket, key)
    if found is not None and found.number >= kept.revision:
        return False
    current = documents.current(deps.db, kept.organization_id, "course", kept.document_id)
    return current is not None and publish.publish_document(deps, current)


def _listed(deps: Deps, kept: documents.Kept) -> bool:
    """Do what the step ``catalog`` would have done: list it, or have it wait for review. False when there is nothing to
    do by now."""
    organization = organizations.read(deps.db, kept.organization_id)
    with deps.db.transaction() as tx:
        documents.lock(tx, kept.organization_id, "course", kept.document_id)
        current = documents.current_in(tx, kept.organization_id, "course", kept.document_id)
        if organization is None or current is None or not documents.is_unlisted(tx, current):
            return False
        course = cast(Course, current.content)
        list_or_wait(deps.bus, tx, Listing(organization.id, organization.slug, current.revision, course))
    return True


@dataclass
class _Tour:
    """Where this process is on its way round the catalogs. There are few of them, so the time of their last look needs
    no place in their rows."""

    ahead: deque[UUID] = field(default_factory=deque)
    begun: float | None = None


_tours: WeakKeyDictionary[ObjectStore, _Tour] = WeakKeyDictionary()


def mend_catalogs(deps: Deps) -> Iterator[str]:
    """Write ``catalog.json`` again where it is gone from the store or older than its row says. Each catalog is looked
    at once in ten minutes by each process."""
    tour = _tours.setdefault(deps.objects, _Tour())
    now = time.monotonic()
    if not tour.ahead and (tour.begun is None or now - tour.begun > CATALOGS_AFTER):
        tour.ahead.extend(catalog.with_file(deps.db))
        tour.begun = now
    for _ in range(AT_ONCE):
        if not tour.ahead or time.monotonic() > now + ROUND_SECONDS:
            break
        catalog_id = tour.ahead.popleft()
        try:
            written = _catalog_written_again(deps, catalog_id)
        except (Transient, Unavailable):
            tour.ahead.append(catalog_id)
            raise
        if written:
            log.warning("file_corrected", kind="catalog_lost", catalog=str(catalog_id))
            yield "catalog_lost"


def _catalog_written_again(deps: Deps, catalog_id: UUID) -> bool:
    expected = catalog.file_version(deps.db, catalog_id)
    found = deps.objects.stored(deps.settings.s3.courses_bucket, publish.catalog_key(catalog_id))
    if found is not None and found.number >= expected:
        return False
    return publish.publish_catalog(deps, catalog_id)

"""Putting a course into its catalogs, or keeping it out until somebody approves it; and waking whoever follows them.

Everything that lists a course comes by here, with its document locked. What organization settings say is read in the
transaction that acts on it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

from storage import catalog, organization_settings, reviews
from storage.bus import Bus
from storage.catalog import Listing
from storage.db import Transaction


def list_course(bus: Bus, tx: Transaction, listing: Listing) -> int:
    """Put a course's revision into its catalogs; those who follow them are woken after the commit. Returns the version
    of the organization's catalog that shows it. From then on everybody sees the pictures of a public course.

    It does not ask whether the course should be reviewed."""
    return catalog.list_course(tx, listing, _waker(bus, tx))


def list_or_wait(bus: Bus, tx: Transaction, listing: Listing, base: int | None = None) -> int | None:
    """List a course's revision unless it has to be reviewed first; then it waits for that, and the answer is none.

    ``base`` is the revision from which it differs by a picture alone: where that one is listed, this one is too."""
    org, course_id = listing.organization_id, listing.course["id"]
    if reviews.waits_in(tx, org, course_id):
        return None
    settled = listing.revision if base is None else base
    if catalog.listed_revision(tx, org, course_id) < settled and _review_is_required(tx, org):
        await_review(bus, tx, org, course_id, listing.revision)
        return None
    return list_course(bus, tx, listing)


def await_review_if_required(bus: Bus, tx: Transaction, organization_id: UUID, course_id: str, revision: int) -> None:
    """A job has saved this revision just now. Where review is required, the course leaves its catalogs in the same
    moment, so that nobody ever reads what nobody has reviewed. Elsewhere what the course waited for is past."""
    if _review_is_required(tx, organization_id):
        await_review(bus, tx, organization_id, course_id, revision)
    else:
        reviews.forget(tx, organization_id, course_id)


def await_review(bus: Bus, tx: Transaction, organization_id: UUID, course_id: str, revision: int) -> None:
    """Have a course's revision wait for its review, outside of every catalog."""
    reviews.wait(tx, organization_id, course_id, revision)
    catalog.unlist_course(tx, organization_id, course_id, _waker(bus, tx))


def _review_is_required(tx: Transaction, organization_id: UUID) -> bool:
    return organization_settings.read_in(tx, organization_id).require_review


def _waker(bus: Bus, tx: Transaction) -> Callable[[UUID], None]:
    def changed(catalog_id: UUID) -> None:
        tx.after_commit(partial(bus.wake_catalog, catalog_id))

    return changed

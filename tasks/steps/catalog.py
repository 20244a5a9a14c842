"""Fifth step: the course enters its catalog, in the very transaction that ends the step; or it waits for its review."""

from __future__ import annotations

from typing import Any, cast

from schema.course import Course
from schema.errors import Permanent
from storage import documents, organizations
from storage.catalog import Listing
from storage.db import Transaction
from tasks.listing import list_or_wait
from tasks.work import Outcome, Work


def run(work: Work) -> Outcome:
    """List the course. The checkpoint is ``{"catalogVersion": n, "awaitsReview": false}``; where somebody has to
    approve it first, it is in no catalog and the version is none."""
    organization = organizations.read(work.deps.db, work.organization_id)
    if organization is None:
        raise Permanent("The organization is gone.", code="unknown_organization")

    def lock(tx: Transaction) -> None:
        documents.lock(tx, work.organization_id, "course", work.course_id)

    def enter(tx: Transaction) -> dict[str, Any]:
        current = documents.current_in(tx, work.organization_id, "course", work.course_id)
        if current is None:
            raise Permanent("The course was archived while it was being made.", code="course_archived")
        course = cast(Course, current.content)
        listing = Listing(work.organization_id, organization.slug, current.revision, course)
        version = list_or_wait(work.deps.bus, tx, listing)
        return {"catalogVersion": version, "awaitsReview": version is None}

    return Outcome({}, message=_words, locks=lock, writes=enter)


def _words(result: dict[str, Any]) -> str | None:
    return "The course waits for review" if result["awaitsReview"] else None

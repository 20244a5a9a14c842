"""The use case of reviews: somebody approves a course, and it enters its catalogs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import structlog

from schema.audit import Deed
from schema.course import Course
from schema.errors import Conflict, Forbidden, NotFound
from storage import audit, catalog, documents, organizations, reviews
from storage.catalog import Listing
from storage.documents import Revision
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.listing import list_course

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Approved:
    """What is shown now, and the version of the organization's catalog that shows it."""

    course_id: str
    revision: int
    catalog_version: int


def approve(deps: Deps, asker: Asker, course_id: str, revision: int | None) -> Approved:
    """Put the current revision of a course into its catalogs. The same again is the same answer.

    Raises ``NotFound``, and ``Conflict`` (``conflict``) when ``revision``, which was looked at, is not the current
    one."""
    organization = organizations.read(deps.db, asker.organization_id)
    if organization is None:
        raise Forbidden("There is no such organization.", code="unknown_organization")
    with deps.db.transaction() as tx:
        documents.lock(tx, organization.id, "course", course_id)
        current = documents.current_in(tx, organization.id, "course", course_id)
        if current is None:
            raise NotFound("There is no such course.")
        if revision not in (None, current.revision):
            raise _conflict(current, revision)
        is_news = catalog.listed_revision(tx, organization.id, course_id) < current.revision
        reviews.approve(tx, organization.id, course_id, current.revision, asker.user)
        details = {"revision": current.revision, "existing": None if is_news else True}
        audit.note(tx, Deed(organization.id, "review.approved", "course", course_id, details))
        course = cast(Course, current.content)
        version = list_course(deps.bus, tx, Listing(organization.id, organization.slug, current.revision, course))
    if is_news:
        log.info("course_approved", course=course_id, organization=str(organization.id), by=asker.user)
    return Approved(course_id, current.revision, version)


def _conflict(current: Revision, given: int | None) -> Conflict:
    words = f"The course is at revision {current.revision} by now, and you looked at {given}. Look at it again first."
    return Conflict(words, details={"conflict": True, "latest": {"revision": current.revision}})

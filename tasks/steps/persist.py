"""Fourth step: the course becomes a revision, then ``course.json``. Revision first, upload second, checkpoint last.

In this order a kill at any moment leaves either nothing, or a revision that the next run finds again by its job and
step; never ``done`` without ``course.json``, and never a file from a worker that has lost its lease.

With the revision it is decided whether it has to be reviewed, because from then on it is what readers get.
"""

from __future__ import annotations

from typing import Any

from schema.clock import iso, utc_now
from schema.errors import Permanent
from storage import documents, steps
from storage.documents import Author, Revision
from tasks.listing import await_review_if_required
from tasks.publish import course_key, publish_document
from tasks.work import Outcome, Stopped, Work


def run(work: Work) -> Outcome:
    """Save the course. The checkpoint is ``{"revision": n, "key": ...}``."""
    revision = _revision(work)
    work.check()
    publish_document(work.deps, revision)
    key = course_key(work.organization_id, work.course_id)
    return Outcome(
        {"revision": revision.revision, "key": key},
        message=f"Saved as revision {revision.revision}",
        result_path=f"{work.course_id}/course.json",
    )


def _revision(work: Work) -> Revision:
    """This job's revision of the course: the one it made in an earlier try, or a new one."""
    org, course_id = work.organization_id, work.course_id
    with work.deps.db.transaction() as tx:
        at = documents.lock(tx, org, "course", course_id)
        if not steps.holds(tx, work.lease):
            raise Stopped
        made = documents.revision_of_step(tx, org, "course", course_id, work.job_id, work.step)
        if made is None:
            author = Author("workflow", work.claimed.created_by, work.job_id, work.step)
            saved = documents.save(tx, org, "course", course_id, _content(work, at + 1), author, "generated")
            await_review_if_required(work.deps.bus, tx, org, course_id, saved)
        # Pictures or people may have gone on from it; what readers get is always the current one.
        current = documents.current_in(tx, org, "course", course_id)
    if current is None:
        raise Permanent("The course was archived while it was being made.", code="course_archived")
    return current


def _content(work: Work, revision: int) -> dict[str, Any]:
    course: dict[str, Any] = dict(work.checkpoint("validate")["course"])
    course["contentVersion"] = f"v{revision}"
    course["provenance"] = {
        **course["provenance"],
        "jobId": str(work.job_id),
        "generatedAt": iso(utc_now()),
    }
    return course

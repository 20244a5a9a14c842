"""Last step of a media job: its marker becomes the picture, as a revision of its own.

One transaction under the document's row lock, so two pictures finishing at once both land. It also tells the parent,
because a picture counts as made only when readers can see it.
"""

from __future__ import annotations

import copy
from typing import Any, cast

from schema.course import Course
from schema.errors import Permanent
from schema.events import Event
from schema.markers import place_of
from storage import documents, events, organizations
from storage.catalog import Listing
from storage.db import Transaction
from storage.documents import Author, Revision
from storage.engine import moves
from tasks.ending import settled
from tasks.listing import list_or_wait
from tasks.publish import publish_soon
from tasks.work import Outcome, Work


def run(work: Work) -> Outcome:
    """Attach the picture. The checkpoint is ``{"revision": n, "catalogVersion": m}``; no version while the course waits
    for its review, or when the picture was there already."""
    org, course_id, parent = work.organization_id, work.course_id, work.claimed.parent_job_id
    organization = organizations.read(work.deps.db, org)
    if organization is None:
        raise Permanent("The organization is gone.", code="unknown_organization")
    saved: list[Revision] = []

    def lock(tx: Transaction) -> None:
        documents.lock(tx, org, "course", course_id)
        if parent is not None:
            moves.lock(tx, parent)

    def tell_parent(tx: Transaction, path: str, revision: int) -> None:
        if parent is None:
            return
        target = work.payload["targetRef"]
        body = {"mediaJobId": str(work.job_id), "targetRef": target, "url": path, "revision": revision}
        events.append(tx, parent, [Event("media_completed", body), *settled(tx, parent, completed=1, failed=0)])
        tx.after_commit(lambda: work.deps.bus.wake(parent))

    def attach(tx: Transaction) -> dict[str, Any]:
        current = documents.current_in(tx, org, "course", course_id)
        if current is None:
            raise Permanent("The course is gone.", code="course_archived")
        path = work.checkpoint("picture")["assetPath"]
        course = changed(cast(Course, current.content), work.payload, path)
        if course is None:
            tell_parent(tx, path, current.revision)
            return {"revision": current.revision, "catalogVersion": None}
        course["contentVersion"] = f"v{current.revision + 1}"
        author = Author("workflow", work.claimed.created_by, work.job_id, work.step)
        revision = documents.save(tx, org, "course", course_id, course, author, "attached")
        tell_parent(tx, path, revision)
        listing = Listing(org, organization.slug, revision, course)
        version = list_or_wait(work.deps.bus, tx, listing, base=current.revision)
        made = documents.current_in(tx, org, "course", course_id)
        if made is not None:
            saved.append(made)
        return {"revision": revision, "catalogVersion": version}

    def publish() -> None:
        for revision in saved:
            publish_soon(work.deps, revision)

    return Outcome({}, locks=lock, writes=attach, after_commit=publish)


def changed(course: Course, payload: dict[str, Any], path: str) -> Course | None:
    """The course with its new picture; none when it shows that already: another job brought the same one meanwhile, or
    one that was lost came out as it was. Raises ``Permanent`` (``target_gone``)."""
    lost = payload.get("remakes")
    if lost is not None:
        return with_other_picture(course, lost["assetPath"], path)
    if has_picture(course, payload["targetRef"]):
        return None
    return with_picture(course, payload["targetRef"], path)


def has_picture(course: Course, target: dict[str, Any]) -> bool:
    """Whether the target's marker is gone because a picture of the same thing stands in its text already."""
    texts = [text["content"] for text in course["studyTexts"] if text["id"] == target["id"]]
    place = place_of(target["marker"])
    return any(not place.search(text) and f"![{target['marker']}](" in text for text in texts)


def with_picture(course: Course, target: dict[str, Any], path: str) -> Course:
    """A copy of the course in which the target's marker is the picture. Raises ``Permanent`` (``target_gone``) when
    the text or the marker isn't there any more."""
    changed = copy.deepcopy(course)
    place = place_of(target["marker"])
    for text in changed["studyTexts"]:
        if text["id"] == target["id"]:
            text["content"], found = place.subn(lambda _: f"![{target['marker']}]({path})", text["content"], count=1)
            if found:
                return changed
    raise Permanent("The place for this picture is no longer in the course.", code="target_gone")


def with_other_picture(course: Course, before: str, path: str) -> Course | None:
    """A copy of the course that shows another picture wherever it showed the one before; none when that changes
    nothing."""
    other = copy.deepcopy(course)
    for text in other["studyTexts"]:
        text["content"] = text["content"].replace(f"]({before})", f"]({path})")
    return other if other != course else None

"""Pictures whose bytes are gone from the store: noted once, and made again where that can be done.

A job that is done never moves again, so it can't be taken up for this: a media job of its own makes the picture anew.
What it needs stands in the course that shows the picture, also when the job that made it was purged long ago.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import structlog

from schema.clock import new_id
from schema.events import Event
from storage import documents, jobs, media
from storage.db import Transaction
from storage.jobs import NewRow
from storage.media import Asset, Kept
from tasks.deps import Deps
from tasks.estimates import estimated_seconds, step_shares
from tasks.pipeline import PIPELINES
from tasks.reconcile.files import AT_ONCE, ROUND_SECONDS, VERIFY_AFTER

log = structlog.get_logger(__name__)


def mend_pictures(deps: Deps) -> Iterator[str]:
    """Note pictures that are missing, the longest unseen looked at first, and order those that a course shows."""
    due = media.longest_unverified(deps.db, VERIFY_AFTER, AT_ONCE)
    random.shuffle(due)  # one that the store always refuses is not in everybody's way for ever
    seen: list[Kept] = []
    until = time.monotonic() + ROUND_SECONDS
    try:
        for kept in due:
            if time.monotonic() > until:
                break
            if deps.objects.stored(deps.settings.s3.media_bucket, kept.asset.key) is not None:
                seen.append(kept)
            elif (kind := _missing(deps, kept)) is not None:
                yield kind
    finally:
        if seen:
            media.mark_verified(deps.db, seen)


def _missing(deps: Deps, kept: Kept) -> str | None:
    """Note it, and order it anew in the same transaction. None when that is no news."""
    expected = estimated_seconds(deps, kept.asset.organization_id, "media")
    shares = step_shares(deps, kept.asset.organization_id, "media")
    with deps.db.transaction() as tx:
        if not media.mark_missing(tx, kept):
            return None
        row = _order(deps, tx, kept.asset)
        if row is not None:
            # Writes nothing where one that was ordered before is still on its way.
            jobs.insert(tx, replace(row, step_shares=shares), Event("job_created", {"estimatedDuration": expected}))
    kind = "picture_ordered" if row is not None else "picture_missing"
    job_id = str(row.job_id) if row is not None else None
    log.warning("file_corrected", kind=kind, picture=kept.asset.key, course=kept.asset.course_id, job=job_id)
    return kind


def _order(deps: Deps, tx: Transaction, asset: Asset) -> NewRow | None:
    """The job that makes a picture again; none when its course doesn't show it any more, or nobody could draw it."""
    if asset.course_id is None:
        return None
    course = documents.current_in(tx, asset.organization_id, "course", asset.course_id)
    target = _place(course.content, asset.path) if course is not None else None
    if course is None or target is None:
        return None
    pack_id = course.content.get("provenance", {}).get("packId")
    if not (pack_id if asset.source == "pack" else deps.settings.model.configured):
        return None
    pipeline = PIPELINES["media"]
    return NewRow(
        job_id=new_id(),
        organization_id=asset.organization_id,
        job_type=pipeline.job_type,
        queue=pipeline.queue,
        payload={
            "courseId": asset.course_id,
            "mediaType": "image",
            "prompt": asset.prompt,
            "targetRef": target,
            "packId": pack_id,
            "visibility": course.content["visibility"],
            "remakes": {"assetPath": asset.path, "source": asset.source},
        },
        first_step=pipeline.steps[0].name,
        total_steps=len(pipeline.steps),
        max_retries=deps.settings.jobs.max_retries,
        created_by=None,
        # One at a time makes it, also when it is found missing again meanwhile.
        target=f"picture:{asset.sha256}",
        course_id=asset.course_id,
    )


def _place(course: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Where a course shows a picture, as a ``targetRef``."""
    shown = re.compile(r"!\[([^\]]*)\]\(" + re.escape(path) + r"\)")
    for text in course.get("studyTexts", []):
        if found := shown.search(text["content"]):
            return {"type": "study_text", "id": text["id"], "marker": found[1]}
    return None

"""Last step of a course: one child job for each picture a study text asks for. The course is done without them."""

from __future__ import annotations

from typing import Any

from schema.clock import new_id
from schema.events import Event
from schema.markers import image_markers
from storage import jobs
from storage.db import Transaction
from storage.jobs import NewRow
from tasks.estimates import estimated_seconds, step_shares
from tasks.pipeline import PIPELINES
from tasks.work import Outcome, Work


def run(work: Work) -> Outcome:
    """Order pictures. The checkpoint is ``{"mediaJobIds": [...]}``."""
    wanted = _wanted(work) if work.payload["generateStudyTextImages"] else []
    rows = [_child(work, target) for target in wanted]
    expected = estimated_seconds(work.deps, work.organization_id, "media") if rows else None

    def order(tx: Transaction) -> dict[str, Any]:
        for row in rows:
            jobs.insert(tx, row, Event("job_created", {"estimatedDuration": expected}))
        return {"mediaJobIds": [str(row.job_id) for row in rows]}

    # A checkpoint of an older release does not say.
    waits = work.checkpoint("catalog").get("awaitsReview", False)
    message = f"The course {'waits for review' if waits else 'is ready'}{_on_pictures(work, len(rows))}"
    return Outcome({"mediaJobIds": []}, message=message, writes=order if rows else None, media_pending=len(rows))


def _on_pictures(work: Work, ordered: int) -> str:
    if ordered:
        return "; 1 picture is on the way" if ordered == 1 else f"; {ordered} pictures are on the way"
    return "; its texts have no place for a picture" if work.payload["generateStudyTextImages"] else ""


def _wanted(work: Work) -> list[dict[str, Any]]:
    course = work.checkpoint("validate")["course"]
    return [
        {"type": "study_text", "id": text["id"], "marker": shows}
        for text in course["studyTexts"]
        for shows in image_markers(text["content"])
    ]


def _child(work: Work, target: dict[str, Any]) -> NewRow:
    pipeline = PIPELINES["media"]
    return NewRow(
        job_id=new_id(),
        organization_id=work.organization_id,
        job_type=pipeline.job_type,
        queue=pipeline.queue,
        payload={
            "courseId": work.course_id,
            "mediaType": "image",
            "prompt": target["marker"],
            "targetRef": target,
            "packId": work.checkpoint("skeleton")["provenance"].get("packId"),
            "visibility": work.payload["visibility"],
        },
        first_step=pipeline.steps[0].name,
        total_steps=len(pipeline.steps),
        max_retries=work.deps.settings.jobs.max_retries,
        created_by=work.claimed.created_by,
        course_id=work.course_id,
        parent_job_id=work.job_id,
        step_shares=step_shares(work.deps, work.organization_id, pipeline.job_type),
    )

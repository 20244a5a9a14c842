"""One event of each type, as clients see it. The documentation shows these very ones."""

from __future__ import annotations

from typing import Any

JOB_ID = "72062cdf-4e3e-4913-88d0-d9c89ecdf064"
_PICTURE = {
    "mediaJobId": "0c7be1c2-8f0e-4f0a-9a44-3f6d2f6f6a01",
    "targetRef": {"type": "study_text", "id": "the-journey", "marker": "A river that flows into the sea"},
}


def _at(seconds: str) -> str:
    return f"2026-11-21T10:39:{seconds}Z"


def _event(type_: str, seq: int, seconds: str, **body: Any) -> dict[str, Any]:
    return {"type": type_, "jobId": JOB_ID, "seq": seq, "timestamp": _at(seconds), **body}


def _step(name: str, index: int, message: str, progress: float) -> dict[str, Any]:
    return {"step": name, "stepIndex": index, "totalSteps": 6, "message": message, "progress": progress}


def _topic(name: str, index: int, progress: float) -> dict[str, Any]:
    return {"topicName": name, "topicIndex": index, "totalTopics": 6, "progress": progress}


_BROKEN = {"code": "model_unavailable", "message": "The model endpoint is in trouble (HTTP 503)."}
_REFUSED = {"code": "model_refused", "message": "The model declined to answer. Change the subject or the notes."}
_NO_PICTURE = {"code": "cancelled", "message": "The picture was cancelled."}

SAMPLES: dict[str, dict[str, Any]] = {
    event["type"]: event
    for event in (
        _event("job_created", 1, "24.273", estimatedDuration=41.5),
        _event("step_started", 2, "24.855", **_step("skeleton", 0, "Planning the course", 0.0)),
        _event("step_progress", 17, "51.004", **_step("validate", 2, "Checking the answer keys", 71.4)),
        _event(
            "step_completed",
            3,
            "27.110",
            **_step("skeleton", 0, "Planned 48 items in 4 groups, 2 texts", 12.3),
            duration=2.255,
        ),
        _event("topic_started", 5, "27.121", **_topic("The journey of water", 1, 12.3)),
        _event("topic_progress", 11, "33.870", **_topic("Rights and freedoms", 1, 16.8), lessonsGenerated=2),
        _event(
            "topic_completed",
            13,
            "38.402",
            **_topic("The journey of water", 1, 21.3),
            itemsGenerated=12,
            lessonsGenerated=0,
            duration=11.281,
        ),
        _event(
            "media_completed",
            26,
            "58.610",
            **_PICTURE,
            url="/content/media/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.png",
            revision=2,
        ),
        _event("media_failed", 27, "58.902", **_PICTURE, error=_NO_PICTURE),
        _event("media_settled", 28, "58.902", completed=1, failed=1),
        _event("job_retrying", 14, "39.000", step="fill", attempt=2, run=1, nextRunAt=_at("41.200"), error=_BROKEN),
        _event("job_completed", 25, "55.516", courseId="the-water-cycle-nnt7gw", totalDuration=30.662, mediaPending=2),
        _event(
            "job_failed",
            14,
            "39.000",
            attempt=1,
            run=1,
            error=_REFUSED,
            failedStep="fill",
            canResume=True,
            deadLetter=False,
        ),
        _event("job_cancelled", 9, "30.018", reason="Wrong grade", cancelledAt=_at("30.017")),
    )
}

#: Of what streams send without a number. The job of a ``job_snapshot`` is cut to a few of its fields.
UNNUMBERED_SAMPLES: dict[str, dict[str, Any]] = {
    "content_delta": {
        "type": "content_delta",
        "jobId": JOB_ID,
        "timestamp": _at("34.101"),
        "step": "fill",
        "part": "group:group-1",
        "text": "Gravity makes the water in a river",
    },
    "job_snapshot": {
        "type": "job_snapshot",
        "jobId": JOB_ID,
        "timestamp": "2026-12-01T08:00:00.000Z",
        "job": {"jobId": JOB_ID, "jobType": "course", "status": "done", "progress": 100.0},
    },
}

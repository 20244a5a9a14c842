"""The outbox: who is to be told of a job's end, written by the very statement that appends the event of it.

So nobody is told of what did not happen, and nothing that happened is kept from anybody, whatever dies when. Only a
statement that ends a job carries these lines; they cost no other one anything. Sending comes later
(``storage.notices.deliveries``, ``storage.notices.mails``).

The webhooks are locked ``FOR KEY SHARE``: one that is being removed is waited for and left out, where its foreign key
would else fail the end of the job. Changing a webhook holds nobody up, and no job's end holds up another one's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from schema.events import Event
from schema.organization_settings import USUAL_NOTICES

#: What a receiver gets to know of the job.
_JOB = """jsonb_build_object('jobId', ended.id, 'jobType', ended.job_type, 'status', ended.status,
    'courseId', ended.course_id, 'examId', ended.exam_id, 'error', ended.error - 'details',
    'resultPath', ended.result_path)"""

# Mails tell of jobs that were asked for one by one: five hundred of a batch would tell nobody anything. Whatever stands
# in the settings, even what somebody wrote there by hand, must not keep a job from ending.
_NOTICED = f""", ended AS (
  SELECT held.*, held.last_seq - :told + :ended_at AS seq FROM held
  WHERE held.parent_job_id IS NULL AND held.job_type <> 'media'
), posted AS (
  INSERT INTO webhook_deliveries (id, organization_id, webhook_id, event, job_id, seq, body, due_at)
  SELECT gen_random_uuid(), ended.organization_id, w.id, 'job.' || :ended_as, ended.id, ended.seq, {_JOB},
    clock_timestamp()
  FROM ended JOIN webhooks w ON w.organization_id = ended.organization_id
    AND NOT w.paused AND 'job.' || :ended_as = ANY (w.events)
  FOR KEY SHARE OF w
  ON CONFLICT DO NOTHING
), mailed AS (
  INSERT INTO mails (id, organization_id, event, job_id, seq, recipient, body, due_at)
  SELECT gen_random_uuid(), ended.organization_id, 'job.' || :ended_as, ended.id, ended.seq, r.value, {_JOB},
    clock_timestamp()
  FROM ended JOIN organization_settings s ON s.organization_id = ended.organization_id
    AND COALESCE(s.chosen->'notifyOn', CAST(:usual_notices AS jsonb)) @> to_jsonb(CAST(:ended_as AS text))
  CROSS JOIN LATERAL jsonb_array_elements_text(
    CASE jsonb_typeof(s.chosen->'notifyEmails') WHEN 'array' THEN s.chosen->'notifyEmails' ELSE '[]' END) AS r
  WHERE ended.batch_id IS NULL AND r.value IS NOT NULL
  ON CONFLICT DO NOTHING
)"""


def noticed(events: Sequence[Event]) -> str:
    """What goes behind ``storage.events.TOLD`` when these events are told: nothing, unless one of them ends the job.
    ``held`` must return all of the job's row then."""
    return _NOTICED if _end(events) else ""


def noticing(events: Sequence[Event]) -> dict[str, Any]:
    """The parameters it needs beside those of ``told``."""
    end = _end(events)
    if end is None:
        return {}
    place, name = end
    return {"ended_at": place, "ended_as": name, "usual_notices": json.dumps(USUAL_NOTICES)}


def _end(events: Sequence[Event]) -> tuple[int, str] | None:
    """The place, from 1, of the event that ends the job, and the word for how it ended."""
    for place, event in enumerate(events, 1):
        match event.type:
            case "job_completed":
                return place, "completed"
            case "job_cancelled":
                return place, "cancelled"
            case "job_failed":
                return place, "dead_letter" if event.body["deadLetter"] else "failed"
    return None

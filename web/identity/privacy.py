"""What a viewer doesn't see: private courses, and the jobs that make them. For a viewer they are not there at all."""

from __future__ import annotations

from flask import request

from schema.errors import NotFound
from schema.job import is_id
from storage.people import privacy
from web.identity.identity import Identity
from web.wiring import deps


def check(identity: Identity) -> None:
    """Raise ``NotFound`` when the address names a course or a job that this identity doesn't see. In the same words as
    when there is none."""
    if identity.sees_private:
        return
    named = request.view_args or {}
    course_id, job_id = named.get("course_id"), named.get("job_id")
    if course_id is not None and privacy.hides_course(deps().db, identity.organization_id, course_id):
        raise NotFound("There is no such course.")
    if is_id(job_id or "") and privacy.hides_job(deps().db, identity.organization_id, str(job_id)):
        raise NotFound("There is no such job.")

"""What is written down of who did what: a closed list of actions, and the shape of one entry.

An entry says who did what to what, from where, and by which way in; never what a document, a key or a password says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from uuid import UUID

from schema.redaction import redacted

#: By which way somebody came in: the environment's agent token, a token of the organization, a user's JWT, a browser's
#: session, a stream's token, the command line, a schedule, the system itself, or nobody knows who (a refused one).
Way = Literal["agent", "token", "user", "cookie", "stream", "command", "schedule", "system", "unknown"]
WAYS: tuple[str, ...] = get_args(Way)

#: Every action there is, and what it says. The API's documentation shows the same list.
ACTIONS: dict[str, str] = {
    "job.started": "A job was asked for. details.existing is true when one that does the same was there already.",
    "job.cancelled": "A job was cancelled, or the pictures a finished one waited for.",
    "job.retried": "A job that had ended badly was taken up again.",
    "batch.started": "Many jobs were asked for at once.",
    "batch.cancelled": "The jobs of a batch that had not ended were cancelled.",
    "course.saved": "A person saved a course, as a whole or in parts.",
    "course.restored": "An older revision of a course, or an archived course, was brought back.",
    "course.published": "A version of a course was published.",
    "course.unpublished": "A course was taken back from its readers.",
    "course.archived": "A course left the catalog.",
    "proposal.accepted": "What a job proposed for a course was taken over.",
    "proposal.rejected": "What a job proposed for a course was turned down.",
    "review.approved": "A course that waited for a review was approved.",
    "review.rejected": "A course that waited for a review was turned down.",
    "project.made": "A project was made, with or without a lecture.",
    "project.changed": "A project was renamed or archived.",
    "lecture.saved": "A person saved a lecture.",
    "media.asked": "A picture, a sound or a video was asked for.",
    "exam.made": "An exam was made.",
    "exam.saved": "All an exam says was replaced.",
    "exam.removed": "An exam was archived.",
    "settings.changed": "The organization's settings were chosen anew; details.changed names those that differ.",
    "webhook.made": "A webhook was made.",
    "webhook.changed": "A webhook was changed, paused or resumed; details.changed names what.",
    "webhook.removed": "A webhook was removed with its log.",
    "webhook.secret_rotated": "A webhook got another secret.",
    "webhook.tested": "A test delivery was sent to a webhook.",
    "webhook.redelivered": "A delivery to a webhook was sent once more.",
    "schedule.made": "A schedule was made.",
    "schedule.changed": "A schedule was changed; details.changed names what.",
    "schedule.paused": "A schedule was paused.",
    "schedule.resumed": "A paused schedule was resumed.",
    "schedule.removed": "A schedule was removed.",
    "schedule.run": "A schedule's request was started out of turn.",
    "token.made": "An agent token of the organization was made.",
    "token.changed": "An agent token of the organization was renamed, or got other scopes or another end.",
    "token.revoked": "An agent token of the organization was revoked.",
    "member.added": "Somebody became a member of the organization.",
    "member.changed": "A member got another role.",
    "member.removed": "Somebody is no member any more; details.sessions counts their browsers that were signed out.",
    "organization.made": "The organization was made.",
    "session.link_made": "A login link was made.",
    "session.begun": "A browser was signed in.",
    "session.ended": "A browser was signed out; details.sessions counts those of the user that were at once.",
    "login.refused": "Credentials were refused. details.more counts those of a minute that have no entry of their own.",
    "access.refused": "Somebody known was refused what they asked for. details.more counts as above.",
    "admin.requeued": "Jobs that had ended badly were taken up again by an operator.",
    "admin.marked_stale": "An operator took a job out of the hands of its worker.",
    "admin.dead_lettered": "An operator put a job among the dead letters.",
    "admin.deleted": "An operator deleted a job.",
    "admin.reconciled": "An operator had drift looked for: through the API in the organization, by a command in the "
    "whole system.",
}

#: What a text and a list in ``details`` are cut to.
_LONGEST_TEXT, _LONGEST_LIST = 300, 100


@dataclass(frozen=True)
class By:
    """Who is at work here: ``actor`` is a user's id, a token's name, or who the operating system says. ``request_id``
    is the ``X-Request-Id`` of the answer; ``credential`` names the token or session when the actor is somebody else."""

    way: Way = "system"
    actor: str | None = None
    role: str | None = None
    address: str | None = None
    request_id: str | None = None
    credential: str | None = None


@dataclass(frozen=True)
class Deed:
    """What was done. Who did it is whoever is at work (``storage.audit.by``), unless ``by`` says otherwise.
    ``organization_id`` is none for what belongs to none of them, such as the refusal of somebody unknown."""

    organization_id: UUID | None
    action: str
    target_kind: str | None = None
    target_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    by: By | None = None

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"{self.action} is not on the list of actions.")


def small(details: Mapping[str, Any]) -> dict[str, Any]:
    """Details as they are kept: without nulls, long texts and lists cut, and nothing in them that looks like a key."""
    return {name: _cut(value) for name, value in details.items() if value is not None}


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)[:_LONGEST_TEXT]
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _cut(one) for name, one in list(value.items())[:_LONGEST_LIST]}
    if isinstance(value, Iterable):
        return [_cut(one) for one in list(value)[:_LONGEST_LIST]]
    return _cut(str(value))


#: How a formula may begin; wide forms of the signs are read as the signs.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "％", "＝", "＋", "－", "＠")


def neutral(cell: str) -> str:
    """A cell of a CSV file that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULAS) else cell

"""What the matrix asks for: one of each kind at each visibility, and fresh ones in any state, for what is changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from schema.agent_token import AgentToken
from schema.clock import new_id, utc_now
from schema.events import Event
from schema.exam_request import load_new_exam
from storage import batches, documents, media, schedules, steps
from storage.catalog import Listing
from storage.documents import Author
from storage.jobs import NewRow
from storage.media import Asset
from storage.notices import webhooks
from storage.notices.deliveries import add_test
from storage.notices.webhooks import NewWebhook
from storage.people import agent_tokens
from storage.people.agent_tokens import NewToken
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.exams import make_exam
from tasks.listing import list_course
from tasks.publish import keep_debug
from tests import factories
from tests.access.table import BODIES
from tests.integration.stage import change, put_job

#: Stands in the words of everything the organization has: by it a leak is seen, whatever it is that leaks.
MARK = {"private": "Wolfram", "org": "Kestrel", "public": "Heron"}
#: The kinds of things there are, and at which visibilities.
KINDS = {
    **{"course": ("private", "org", "public"), "medium": ("private", "org", "public"), "job": ("private", "org")},
    **dict.fromkeys(("batch", "exam", "webhook", "delivery", "schedule", "token", "member"), ("org",)),
}
DEBUG_FILE = "repair.json"
#: Why a job that failed did.
_ERROR = {"code": "model_unavailable", "message": "The model is away.", "step": "skeleton"}
#: Of what the test itself makes there may be any number.
_ANY = 10_000


@dataclass(frozen=True)
class Thing:
    """Something an address can name: the values of the address's arguments. ``visibility`` none: it isn't there."""

    kind: str
    visibility: str | None
    names: dict[str, str]


def absent(kind: str, slug: str) -> Thing:
    """A thing of this kind that nobody has."""
    some = str(new_id())
    names = {
        "course": {"course_id": "no-such-course-abc234", "organization_slug": slug},
        "medium": {"name": f"{hashlib.sha256(some.encode()).hexdigest()}.png"},
        "job": {"job_id": some, "name": DEBUG_FILE},
        "delivery": {"webhook_id": str(new_id()), "delivery_id": some},
        "member": {"user_id": "nobody@example.org"},
    }
    return Thing(kind, None, names.get(kind, {f"{kind}_id": some}))


@dataclass
class Things:
    """Those of one organization."""

    deps: Deps
    organization_id: UUID
    slug: str
    marks: Mapping[str, str] = field(default_factory=lambda: MARK)

    def make(self, kind: str, visibility: str = "org", state: str = "done") -> Thing:
        """A fresh one. ``state`` is a job's status."""
        mark = self.marks[visibility]
        makers: dict[str, Callable[[], dict[str, str]]] = {
            "course": lambda: self._course(visibility),
            "medium": lambda: self._medium(visibility),
            "job": lambda: self._job(visibility, state),
            "batch": lambda: self._batch(mark),
            "exam": lambda: self._exam(mark),
            "webhook": lambda: {"webhook_id": str(self._webhook(mark))},
            "delivery": lambda: self._delivery(mark),
            "schedule": lambda: self._schedule(mark),
            "token": lambda: {"token_id": str(self.token(mark, scopes=["jobs:read"])[0])},
            "member": lambda: self.member(f"{mark}-{new_id().hex[:8]}@example.org"),
        }
        return Thing(kind, visibility, makers[kind]())

    def tidy(self) -> None:
        """Remove what there may only be a few of, but for the first of each."""
        for table in ("webhooks", "schedules"):
            oldest = f"SELECT id FROM {table} WHERE organization_id = :org ORDER BY created_at LIMIT 2"
            change(
                self.deps,
                f"DELETE FROM {table} WHERE organization_id = :org AND id NOT IN ({oldest})",
                org=self.organization_id,
            )

    def _course(self, visibility: str) -> dict[str, str]:
        course_id = f"{self.marks[visibility].lower()}-{new_id().hex[:8]}"
        drawn: Any = factories.course(
            id=course_id, title=f"Of the {self.marks[visibility]}", visibility=visibility, contentVersion="v1"
        )
        author = Author("app", None)
        with self.deps.db.transaction() as tx:
            documents.lock(tx, self.organization_id, "course", course_id)
            revision = documents.save(tx, self.organization_id, "course", course_id, drawn, author, "edited")
            list_course(self.deps.bus, tx, Listing(self.organization_id, self.slug, revision, drawn))
        return {"course_id": course_id, "organization_slug": self.slug}

    def _medium(self, visibility: str) -> dict[str, str]:
        body = f"a picture of the {self.marks[visibility]}, {new_id()}".encode()
        named = hashlib.sha256(body).hexdigest()
        what = (len(body), 1, 1, visibility, f"the {self.marks[visibility]}", "pack", None, None)
        asset = Asset(self.organization_id, named, "png", "image/png", *what)
        self.deps.objects.put(self.deps.settings.s3.media_bucket, asset.key, body, "image/png", "no-store")
        with self.deps.db.transaction() as tx:
            media.keep(tx, asset)
        return {"name": f"{named}.png"}

    def _job(self, visibility: str, state: str) -> dict[str, str]:
        mark = self.marks[visibility]
        course_id = f"{mark.lower()}-{new_id().hex[:8]}"
        payload = {**BODIES["job"]["payload"], "notes": mark, "visibility": visibility}
        job_id = put_job(self.deps, self.organization_id, course_id=course_id, payload=payload)
        self._bring(job_id, state)
        keep_debug(self.deps, self.organization_id, job_id, DEBUG_FILE, {"of": mark})
        return {"job_id": str(job_id), "name": DEBUG_FILE}

    def _bring(self, job_id: UUID, state: str) -> None:
        """Have a job's row say that it has come so far."""
        if state == "processing":
            assert steps.claim(self.deps.db, job_id, 1, "skeleton", 0, "somebody", [], "At work", 60) is not None
        elif state != "pending":
            over = "due_at = NULL, completed_at = clock_timestamp(), error = CAST(:error AS jsonb)"
            error = None if state == "done" else json.dumps(_ERROR)
            change(self.deps, f"UPDATE jobs SET status = :to, {over} WHERE id = :id", id=job_id, to=state, error=error)

    def _batch(self, mark: str) -> dict[str, str]:
        batch_id, job_id, course_id = new_id(), new_id(), f"{mark.lower()}-{new_id().hex[:8]}"
        payload = {**BODIES["job"]["payload"], "language": "en", "title": mark}
        row = NewRow(job_id, self.organization_id, "course", "course", payload, "skeleton", 6, 3, None)
        placed = NewRow(**{**row.__dict__, "course_id": course_id, "target": f"course:{course_id}"})
        with self.deps.db.transaction() as tx:
            assert batches.insert(tx, batch_id, [placed], Event("job_created", {"estimatedDuration": None})) == []
        return {"batch_id": str(batch_id)}

    def _exam(self, mark: str) -> dict[str, str]:
        asked = [{"text": f"Who watches the {mark}?", "answer": "Everybody"}]
        made = make_exam(
            self.deps, Asker(self.organization_id, None), load_new_exam({"title": mark, "questions": asked})
        )
        return {"exam_id": made["id"]}

    def _webhook(self, mark: str) -> UUID:
        secret = "whsec_" + "A" * 43 + "="
        new = NewWebhook(
            new_id(), self.organization_id, f"https://127.0.0.1:8443/{mark}", ["job.failed"], mark, False, secret, None
        )
        with self.deps.db.transaction() as tx:
            assert webhooks.insert(tx, new, _ANY) is not None
        return new.webhook_id

    def _delivery(self, mark: str) -> dict[str, str]:
        webhook_id, delivery_id = self._webhook(mark), new_id()
        with self.deps.db.transaction() as tx:
            add_test(tx, self.organization_id, webhook_id, delivery_id, "test")
        return {"webhook_id": str(webhook_id), "delivery_id": str(delivery_id)}

    def _schedule(self, mark: str) -> dict[str, str]:
        schedule_id = new_id()
        request = {"jobType": "course", "payload": {**BODIES["job"]["payload"], "title": mark}}
        values = {"name": mark, "cron": "0 6 * * 1", "timeZone": "UTC", "request": request, "paused": True}
        with self.deps.db.transaction() as tx:
            assert schedules.insert(tx, schedule_id, self.organization_id, None, values, None, _ANY) is not None
        return {"schedule_id": str(schedule_id)}

    def token(
        self, name: str, role: str = "admin", scopes: list[str] | None = None, state: str = ""
    ) -> tuple[UUID, str]:
        """A token's id and the token. ``state``: ``revoked`` or ``expired``."""
        token = AgentToken(new_id().hex[-8:], hashlib.sha256(new_id().bytes).hexdigest()[:43])
        expires = utc_now() if state == "expired" else None
        new = NewToken(new_id(), self.organization_id, name, token.prefix, token.hash, role, scopes, expires, None)
        with self.deps.db.transaction() as tx:
            assert agent_tokens.insert(tx, new, _ANY) is not None
            if state == "revoked":
                agent_tokens.revoke(tx, self.organization_id, new.token_id)
        return new.token_id, token.text

    def member(self, user_id: str, role: str = "author", *, ended: bool = False) -> dict[str, str]:
        """Somebody who belongs to the organization, or did."""
        statement = """INSERT INTO memberships (organization_id, user_id, role, ended_at)
          VALUES (:org, :user, :role, CASE WHEN :ended THEN clock_timestamp() END)"""
        change(self.deps, statement, org=self.organization_id, user=user_id, role=role, ended=ended)
        return {"user_id": user_id}


def fixed(things: Things) -> dict[str, list[Thing]]:
    """One of each kind at each visibility."""
    return {kind: [things.make(kind, seen) for seen in visibilities] for kind, visibilities in KINDS.items()}

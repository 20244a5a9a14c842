"""The wall costs no index: what is asked all the time is planned within it as it is without it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from schema.clock import new_id
from schema.settings import DEMO_ORGANIZATION_ID, Settings
from storage import catalog, documents, events, job_lists, jobs, media, steps, wall
from storage.db import Database, Transaction
from storage.engine import leases
from storage.engine.leases import Lease
from storage.postgres.connecting import database_of
from storage.spending import brakes, calls
from storage.spending.calls import Beginning

ORG = UUID(DEMO_ORGANIZATION_ID)
JOB = new_id()
_LEASE = Lease(JOB, ORG, 1, 1)

ASKED: dict[str, Callable[[Database], object]] = {
    "claiming a step": lambda db: steps.claim(db, JOB, 1, "fill", 1, "h", [], "x", 60),
    "telling progress": lambda db: steps.tell(db, _LEASE, [], progress=1, message="x"),
    "seeing who holds": lambda db: leases.still_held(db, [_LEASE]),
    "a heartbeat": lambda db: leases.beat(db, [_LEASE], [0.0]),
    "the brake": lambda db: brakes.look(db, "https://m", "m", _LEASE, 30),
    "noting a call": lambda db: calls.started(db, _LEASE, Beginning(new_id(), "p", "1", "m")),
    "a stream's look": lambda db: events.look(db, ORG, JOB, 0),
    "what is worth a look": lambda db: events.told_beyond(db, {JOB: 1}),
    "events after a number": lambda db: events.after(db, ORG, JOB, 0),
    "one job": lambda db: jobs.read(db, ORG, JOB),
    "the newest jobs": lambda db: jobs.newest(db, ORG, {}, None, 50),
    "the list of the pages": lambda db: job_lists.recent(db, ORG, 20),
    "a course": lambda db: documents.current(db, ORG, "course", "c1"),
    "the catalog": lambda db: catalog.whole(db, ORG),
    "changes of the catalog": lambda db: catalog.timed_changes(db, ORG, 0),
    "a picture": lambda db: media.read(db, ORG, "ab" * 32, "png"),
}

_SCHOOLS = 40
_FILLED = f"""
INSERT INTO organizations (id, slug, name)
  SELECT gen_random_uuid(), 's' || n, 's' FROM generate_series(2, {_SCHOOLS}) n;
INSERT INTO catalogs (id, organization_id) SELECT id, id FROM organizations ON CONFLICT DO NOTHING;
INSERT INTO jobs (id, organization_id, job_type, status, queue, course_id, current_step, last_seq, completed_at)
  SELECT gen_random_uuid(), o.id, 'course', 'done', 'course', 'c' || n, 'media', 3, clock_timestamp()
  FROM organizations o, generate_series(1, 150) n;
INSERT INTO jobs (id, organization_id, job_type, status, queue, current_step, lease_token)
  VALUES ('{JOB}', '{ORG}', 'course', 'processing', 'course', 'fill', 1);
INSERT INTO job_payloads (job_id, organization_id, payload) SELECT id, organization_id, '{{}}' FROM jobs;
INSERT INTO job_events (job_id, seq, organization_id, type, body)
  SELECT id, n, organization_id, 'step_progress', '{{}}' FROM jobs, generate_series(1, 3) n;
INSERT INTO job_steps (job_id, step, part, organization_id, format, run, result, seconds)
  SELECT id, 'fill', '', organization_id, 1, 1, '{{}}', 1 FROM jobs;
INSERT INTO job_leases (job_id, organization_id, token, step, holder)
  SELECT id, organization_id, 1, 'fill', 'h' FROM jobs WHERE status = 'processing';
INSERT INTO model_calls (id, organization_id, job_id, purpose, model, seconds, outcome)
  SELECT gen_random_uuid(), organization_id, id, 'p', 'm', 1, 'ok' FROM jobs;
INSERT INTO documents (organization_id, kind, document_id, revision)
  SELECT organization_id, 'course', course_id, 1 FROM jobs WHERE course_id IS NOT NULL;
INSERT INTO document_revisions (organization_id, kind, document_id, revision, content, source, change)
  SELECT organization_id, kind, document_id, 1, '{{"visibility": "org"}}', 'app', 'edited' FROM documents;
INSERT INTO course_metadata (organization_id, course_id, title, description, subject, grade_band, language, visibility,
  tags, item_count, has_study_texts, content_version, revision, catalog_version)
  SELECT organization_id, document_id, 't', '', 's', '4', 'en', CASE WHEN random() < .02 THEN 'public' ELSE 'org' END,
    '{{}}', 1, false, 'v1', 1, 1 FROM documents;
INSERT INTO catalog_updates (catalog_id, version, organization_id, course_id, action)
  SELECT organization_id, row_number() OVER (PARTITION BY organization_id), organization_id, document_id, 'added'
  FROM documents;
INSERT INTO media_assets (id, organization_id, sha256, extension, content_type, byte_size, visibility, prompt, source)
  SELECT gen_random_uuid(), organization_id, md5(id::text), 'png', 'image/png', 1, 'org', '', 'pack' FROM jobs;
"""


class _Plan(Exception):
    pass


class Explaining(Database):
    """Raises the plan of the first statement it is asked, in place of carrying it out."""

    @contextmanager
    def statement(self) -> Iterator[Transaction]:
        with super().statement() as tx:
            run = tx.run

            def explain(statement: str, values: Mapping[str, Any] | None = None) -> Any:
                *_, last = statement.split(";")
                named = {name: value for name, value in (values or {}).items() if f":{name}" in last}
                raise _Plan("\n".join(row[0] for row in run(f"EXPLAIN {last}", named).all()))

            tx.run = explain  # type: ignore[method-assign]
            yield tx


def plan_of(db: Database, ask: Callable[[Database], object]) -> str:
    try:
        ask(Explaining(db.engine))
    except _Plan as plan:
        return str(plan)
    raise AssertionError("It asked nothing.")


def used(plan: str) -> set[str]:
    """The indexes that a plan uses, and the tables it reads whole."""
    return set(re.findall(r"(?:Index (?:Only )?Scan(?: Backward)? using|Bitmap Index Scan on) (\w+)", plan)) | {
        f"all of {table}" for table in re.findall(r"Seq Scan on (\w+)", plan)
    }


def test_every_statement_finds_the_same_indexes_within_the_wall(settings: Settings, owner: Database) -> None:
    for statement in _FILLED.split(";\n"):
        if statement.strip():
            with owner.statement() as tx:
                tx.run(statement)
    with owner.statement() as tx:
        tx.run("ANALYZE")
    plain = {name: plan_of(owner, ask) for name, ask in ASKED.items()}
    for process in ("web", "worker"):
        db = database_of(settings, process, pool_size=1)
        with wall.within(ORG):
            for name, ask in ASKED.items():
                if process == "web" and name == "the brake":
                    continue  # which the web may only read
                plan = plan_of(db, ask)
                grown = {table for table in used(plan) - used(plain[name]) if table.startswith("all of")}
                assert grown <= {"all of organizations"}, f"{name} as {process}:\n{plan}\n\nwithout:\n{plain[name]}"
        db.dispose()

"""Everything the database and the store hold after a run, read once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from storage.catalog import PUBLIC
from storage.objects import ObjectStore
from tests.chaos.system import System

FINAL = frozenset({"done", "failed", "cancelled", "dead_letter"})


@dataclass(frozen=True)
class Job:
    """A job's row. ``visibility`` is that of its course."""

    job_id: str
    job_type: str
    status: str
    run: int
    last_seq: int
    course_id: str
    parent: str | None
    media_pending: int
    media_completed: int
    media_failed: int
    error_code: str | None
    visibility: str

    @property
    def is_done_course(self) -> bool:
        return self.job_type != "media" and self.status == "done"

    @property
    def is_given_up(self) -> bool:
        return self.status in ("failed", "dead_letter")


@dataclass(frozen=True)
class Told:
    """An event of a job."""

    seq: int
    type: str
    body: dict[str, Any]
    at: datetime


@dataclass(frozen=True)
class Saved:
    """A revision of a course, and which step of which job made it."""

    course_id: str
    revision: int
    job_id: str
    step: str


@dataclass(frozen=True)
class Row:
    """What the system itself wrote down of a call to a model, before the call went out."""

    job_id: str
    purpose: str
    outcome: str
    at: datetime


@dataclass
class Evidence:
    """What is left of a run.

    ``checkpoints`` has the time of each by job, step and part; ``parts`` the part of ``fill``, ``lessons`` or
    ``validate`` by job, the purpose of its call and what that names: a group, a text, or a lesson's first question;
    ``current`` revision and content by course; ``catalogs`` version and file version; ``changes`` versions and courses
    by catalog; ``listed`` the listed revision by course; ``files`` what the store holds by key, but for what is there
    for operators; ``assets`` the keys of pictures by their rows, and ``pictures`` those in the store."""

    organization: str
    public: str = str(PUBLIC)
    jobs: dict[str, Job] = field(default_factory=dict)
    events: dict[str, list[Told]] = field(default_factory=lambda: defaultdict(list))
    checkpoints: dict[tuple[str, str, str], datetime] = field(default_factory=dict)
    parts: dict[tuple[str, str, str], str] = field(default_factory=dict)
    revisions: list[Saved] = field(default_factory=list)
    current: dict[str, tuple[int, Any]] = field(default_factory=dict)
    catalogs: dict[str, tuple[int, int]] = field(default_factory=dict)
    changes: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    listed: dict[str, int] = field(default_factory=dict)
    leases: list[str] = field(default_factory=list)
    calls: list[Row] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    assets: set[str] = field(default_factory=set)
    pictures: set[str] = field(default_factory=set)

    def done_courses(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.is_done_course]

    def children(self) -> dict[str, list[Job]]:
        """The pictures of each job that has some."""
        found: dict[str, list[Job]] = defaultdict(list)
        for job in self.jobs.values():
            if job.parent is not None:
                found[job.parent].append(job)
        return found

    def revision(self, course_id: str) -> int:
        """The current one of a course; 0 when it has none."""
        return self.current.get(course_id, (0, None))[0]

    def course_key(self, course_id: str) -> str:
        return f"{self.organization}/{course_id}/course.json"

    def catalog_keys(self) -> dict[str, str]:
        """Where each catalog's file is."""
        return {self.organization: f"{self.organization}/catalog.json", self.public: "catalog.json"}


def gather(system: System) -> Evidence:
    """Read everything."""
    found = Evidence(system.organization)
    found.jobs = {row[0]: Job(*row) for row in system.rows(_JOBS)}
    for job_id, *told in system.rows(_EVENTS):
        found.events[job_id].append(Told(*told))
    found.checkpoints = {(job, step, part): at for job, step, part, at in system.rows(_CHECKPOINTS)}
    found.parts = {(job, purpose, name): part for job, purpose, name, part in system.rows(_PARTS)}
    found.revisions = [Saved(*row) for row in system.rows(_REVISIONS)]
    found.current = {course: (revision, content) for course, revision, content in system.rows(_CURRENT)}
    found.catalogs = {row[0]: (row[1], row[2]) for row in system.rows(_CATALOGS)}
    for catalog, version, course in system.rows(_CHANGES):
        found.changes[catalog].append((version, course))
    found.listed = dict(system.rows("SELECT course_id, revision FROM course_metadata"))
    found.leases = [job for (job,) in system.rows("SELECT job_id::text FROM job_leases")]
    found.calls = [Row(*row) for row in system.rows(_CALLS)]
    _look_into_the_store(system, found)
    return found


def _look_into_the_store(system: System, found: Evidence) -> None:
    store, buckets = ObjectStore(system.settings.s3), system.settings.s3
    keys = [key for key in _keys(store, buckets.courses_bucket) if not key.startswith(_FOR_OPERATORS)]
    with ThreadPoolExecutor(8) as together:
        bodies = together.map(lambda key: store.read(buckets.courses_bucket, key), keys)
        found.files = {key: body for key, body in zip(keys, bodies, strict=True) if body is not None}
    found.assets = {key for (key,) in system.rows(_ASSETS)}
    found.pictures = {key for key in _keys(store, buckets.media_bucket) if not key.startswith(_FOR_OPERATORS)}


def _keys(store: ObjectStore, bucket: str) -> Iterator[str]:
    """Every key of a bucket."""
    after = ""
    while page := store.list(bucket, after):
        yield from (one.key for one in page)
        after = page[-1].key


_FOR_OPERATORS = "debug/"
_JOBS = """SELECT j.id::text, job_type, status, run, last_seq, course_id, parent_job_id::text, media_pending,
  media_completed, media_failed, error->>'code', p.payload->>'visibility'
FROM jobs j LEFT JOIN job_payloads p ON p.job_id = j.id"""
_EVENTS = "SELECT job_id::text, seq, type, body, created_at FROM job_events ORDER BY 1, 2"
_CHECKPOINTS = "SELECT job_id::text, step, part, created_at FROM job_steps"
_PARTS = """SELECT job_id::text, 'items', g->>'name', 'group:' || (g->>'id')
  FROM job_steps, jsonb_array_elements(result->'groups') g WHERE step = 'skeleton'
UNION ALL SELECT job_id::text, 'study_text', t->>'title', 'text:' || (t->>'id')
  FROM job_steps, jsonb_array_elements(result->'textSlots') t WHERE step = 'skeleton'
UNION ALL SELECT s.job_id::text, kept.purpose, q->>'text', replace(kept.part, '*', t->>'id')
  FROM job_steps s CROSS JOIN jsonb_array_elements(s.result->'topics') t
    JOIN job_steps e ON e.job_id = s.job_id AND e.step = 'questions'
    JOIN LATERAL jsonb_array_elements(e.result->'exam'->'questions') q ON q->>'id' = t->'questionIds'->>0
    CROSS JOIN (VALUES ('lessons', 'topic:*'), ('verify', 'answered:*-lesson-1')) kept (purpose, part)
  WHERE s.step = 'topics'"""
_REVISIONS = """SELECT document_id, revision, job_id::text, step FROM document_revisions
WHERE kind = 'course' ORDER BY document_id, revision"""
_CURRENT = """SELECT d.document_id, d.revision, r.content FROM documents d JOIN document_revisions r
  ON r.organization_id = d.organization_id AND r.kind = d.kind AND r.document_id = d.document_id
  AND r.revision = d.revision WHERE d.kind = 'course'"""
_CALLS = "SELECT job_id::text, purpose, outcome, created_at FROM model_calls ORDER BY created_at"
_CATALOGS = "SELECT id::text, version, file_version FROM catalogs"
_CHANGES = "SELECT catalog_id::text, version, course_id FROM catalog_updates ORDER BY 1, 2"
_ASSETS = "SELECT organization_id::text || '/' || sha256 || '.' || extension FROM media_assets"

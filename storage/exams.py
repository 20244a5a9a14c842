"""Exams and their questions. An exam is replaced whole, under its row lock; each saving is one revision more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from schema.clock import iso
from schema.exam import Exam, Question
from storage import pages
from storage.db import Database, Transaction
from storage.pages import Position


@dataclass(frozen=True)
class Content:
    """What an exam says. ``questions_made`` is how many ids of questions were given out for it so far."""

    title: str
    subject: str
    grade_band: str
    language: str
    context: str
    questions: Sequence[Question]
    questions_hash: str
    questions_made: int


@dataclass(frozen=True)
class Standing:
    """A locked exam: its revision, the ids of its questions, and how many ids were given out."""

    revision: int
    question_ids: frozenset[str]
    questions_made: int


_QUESTIONS = """INSERT INTO exam_questions (exam_id, question_id, organization_id, position, text, options, answers,
    explanation, tags)
  SELECT :id, q.value ->> 'id', :org, q.ordinality, q.value ->> 'text',
    CASE WHEN jsonb_typeof(q.value -> 'options') = 'array'
      THEN ARRAY(SELECT jsonb_array_elements_text(q.value -> 'options')) END,
    ARRAY(SELECT jsonb_array_elements_text(q.value -> 'answers')), q.value ->> 'explanation',
    ARRAY(SELECT jsonb_array_elements_text(q.value -> 'tags'))
  FROM jsonb_array_elements(CAST(:questions AS jsonb)) WITH ORDINALITY AS q"""


def _values(organization_id: UUID, exam_id: UUID, content: Content) -> dict[str, Any]:
    return {
        "id": exam_id,
        "org": organization_id,
        "title": content.title,
        "subject": content.subject,
        "grade_band": content.grade_band,
        "language": content.language,
        "context": content.context,
        "count": len(content.questions),
        "hash": content.questions_hash,
        "made": content.questions_made,
        "questions": json.dumps(list(content.questions)),
    }


def insert(tx: Transaction, organization_id: UUID, exam_id: UUID, content: Content, created_by: str | None) -> None:
    """Make an exam, at its first revision."""
    values = _values(organization_id, exam_id, content)
    tx.run(
        """INSERT INTO exams (id, organization_id, title, subject, grade_band, language, context, question_count,
          questions_hash, questions_made, created_by)
        VALUES (:id, :org, :title, :subject, :grade_band, :language, :context, :count, :hash, :made, :by)""",
        {**values, "by": created_by},
    )
    tx.run(_QUESTIONS, values)


def lock(tx: Transaction, organization_id: UUID, exam_id: UUID) -> Standing | None:
    """Lock an exam of the organization until the transaction ends; none when there is none, or it is archived."""
    row = tx.run(
        """SELECT revision, questions_made FROM exams
        WHERE id = :id AND organization_id = :org AND archived_at IS NULL FOR NO KEY UPDATE""",
        {"id": exam_id, "org": organization_id},
    ).one_or_none()
    if row is None:
        return None
    ids = tx.run("SELECT question_id FROM exam_questions WHERE exam_id = :id", {"id": exam_id}).scalars()
    return Standing(row.revision, frozenset(ids), row.questions_made)


def hold(tx: Transaction, organization_id: UUID, exam_id: UUID) -> bool:
    """Whether the organization has this exam; if so, it stays until the transaction ends. Several may hold one."""
    row = tx.run(
        """SELECT 1 FROM exams WHERE id = :id AND organization_id = :org AND archived_at IS NULL FOR SHARE""",
        {"id": exam_id, "org": organization_id},
    ).one_or_none()
    return row is not None


def replace(tx: Transaction, organization_id: UUID, exam_id: UUID, content: Content) -> None:
    """Put this in the place of all a locked exam says."""
    values = _values(organization_id, exam_id, content)
    tx.run(
        """UPDATE exams SET title = :title, subject = :subject, grade_band = :grade_band, language = :language,
          context = :context, question_count = :count, questions_hash = :hash, questions_made = :made,
          revision = revision + 1, updated_at = clock_timestamp() WHERE id = :id""",
        values,
    )
    tx.run("DELETE FROM exam_questions WHERE exam_id = :id", values)
    tx.run(_QUESTIONS, values)


def archive(tx: Transaction, exam_id: UUID) -> None:
    """A locked exam is not shown any more. Its rows stay."""
    tx.run("UPDATE exams SET archived_at = clock_timestamp() WHERE id = :id", {"id": exam_id})


def read(db: Database, organization_id: UUID, exam_id: UUID) -> Exam | None:
    """An exam with its questions in their order, as of one moment; none when the organization has none with this id,
    or has archived it."""
    with db.statement() as tx:
        return read_in(tx, organization_id, exam_id)


def read_in(tx: Transaction, organization_id: UUID, exam_id: UUID) -> Exam | None:
    """The same, within a transaction."""
    row = tx.run(
        """SELECT e.*, (
          SELECT jsonb_agg(jsonb_build_object('id', q.question_id, 'text', q.text, 'options', q.options,
            'answers', q.answers, 'explanation', q.explanation, 'tags', q.tags) ORDER BY q.position)
          FROM exam_questions q WHERE q.exam_id = e.id) AS questions
        FROM exams e WHERE e.id = :id AND e.organization_id = :org AND e.archived_at IS NULL""",
        {"id": exam_id, "org": organization_id},
    ).one_or_none()
    if row is None:
        return None
    questions = [_question(one) for one in row.questions]
    return cast(Exam, {**_summary(row), "context": row.context, "questions": questions})


def newest(db: Database, organization_id: UUID, before: Position | None, limit: int) -> list[dict[str, Any]]:
    """The organization's exams without questions and context, newest first, those made before the given one."""
    rows = """SELECT id, title, subject, grade_band, language, revision, questions_hash, question_count, created_by,
      created_at, updated_at FROM exams WHERE organization_id = :org AND archived_at IS NULL"""
    return pages.newest(db, rows, {"org": organization_id}, before, limit, _summary)


def titles(db: Database, organization_id: UUID, exam_ids: Sequence[UUID]) -> dict[str, str]:
    """The titles of those exams the organization has, by id."""
    with db.statement() as tx:
        rows = tx.run(
            """SELECT id, title FROM exams
            WHERE id = ANY(CAST(:ids AS uuid[])) AND organization_id = :org AND archived_at IS NULL""",
            {"ids": [str(one) for one in exam_ids], "org": organization_id},
        ).all()
    return {str(row.id): row.title for row in rows}


def _question(kept: dict[str, Any]) -> Question:
    return {
        "id": kept["id"],
        "text": kept["text"],
        "options": kept["options"],
        "answers": kept["answers"],
        "explanation": kept["explanation"],
        "tags": kept["tags"],
    }


def _summary(row: Any) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "title": row.title,
        "subject": row.subject,
        "gradeBand": row.grade_band,
        "language": row.language,
        "revision": row.revision,
        "questionsHash": row.questions_hash,
        "questionCount": row.question_count,
        "createdBy": row.created_by,
        "createdAt": iso(row.created_at),
        "updatedAt": iso(row.updated_at),
    }

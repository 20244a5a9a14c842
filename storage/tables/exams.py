"""Exams, their questions, and the topics that were found in them."""

from __future__ import annotations

from sqlalchemy import ARRAY, Column, ForeignKey, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.columns import count, metadata, moment, organization

exams = Table(
    "exams",
    metadata,
    Column("id", Uuid, primary_key=True),
    organization(),
    Column("title", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("grade_band", Text, nullable=False),
    Column("language", Text, nullable=False),
    # What the questions are about, for lessons that may not use any other facts.
    Column("context", Text, nullable=False, server_default=text("''")),
    count("question_count"),
    # Ids given to questions so far: none is given twice, whatever became of its question.
    count("questions_made"),
    count("revision", 1),
    # Of the questions alone, whatever their order: topics are kept by it (``exam_topics``).
    Column("questions_hash", Text, nullable=False),
    Column("created_by", Text),
    moment("archived_at"),
    moment("created_at", required=True),
    moment("updated_at", required=True),
    Index("ix_exams_newest", "organization_id", "created_at", "id"),
)

exam_questions = Table(
    "exam_questions",
    metadata,
    Column("exam_id", Uuid, ForeignKey("exams.id", ondelete="CASCADE"), primary_key=True),
    Column("question_id", Text, primary_key=True),
    organization(),
    Column("position", Integer, nullable=False),
    Column("text", Text, nullable=False),
    # Null where a question has none to choose from.
    Column("options", ARRAY(Text)),
    # Every answer that counts as right; empty where the exam names none.
    Column("answers", ARRAY(Text), nullable=False),
    Column("explanation", Text, nullable=False, server_default=text("''")),
    Column("tags", ARRAY(Text), nullable=False),
)

#: Topics found in a set of questions, so that the same questions in another exam need no call.
exam_topics = Table(
    "exam_topics",
    metadata,
    Column("organization_id", Uuid, ForeignKey("organizations.id"), primary_key=True),
    Column("questions_hash", Text, primary_key=True),
    # The model, the prompt and its version.
    Column("made_by", Text, primary_key=True),
    Column("topics", JSONB, nullable=False),
    moment("created_at", required=True),
    moment("used_at", required=True),
)

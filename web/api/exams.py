"""``/api/exams``: questions that courses are made from, sent as JSON or in a file (public contract 2.6)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, url_for
from marshmallow import fields

from schema.errors import NotFound
from schema.exam_request import ExamReplacementSchema, NewExamSchema, load_replacement
from schema.fields import Lines, StrictSchema, Text, Whole
from schema.job import is_id
from storage import exams as rows
from tasks import exams
from web.api.exam_upload import (
    FILE_BODIES,
    FILE_QUERY,
    ExamPreviewSchema,
    ExamQuestionSchema,
    FileNoteSchema,
    preview_of,
    sent_exam,
)
from web.arguments import paged
from web.auditing import audited, unaudited
from web.body import json_body, only_arguments, page, read_cursor, whole_argument
from web.caching import tagged
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(
    Blueprint("exams", __name__, url_prefix="/api/exams"), Need(read="viewer", write="author", scope="exams")
)

_LIST_QUERY = paged("Exams", 200, 50)


class ExamSummarySchema(StrictSchema):
    """An exam without its questions."""

    id = fields.UUID(required=True)
    title = Text(required=True)
    subject = Text(required=True)
    gradeBand = Text(required=True)
    language = Text(required=True)
    revision = Whole(required=True)
    questionsHash = Text(required=True)
    questionCount = Whole(required=True)
    createdBy = Text(required=True, allow_none=True)
    createdAt = fields.DateTime(required=True)
    updatedAt = fields.DateTime(required=True)


class ExamSchema(ExamSummarySchema):
    context = Lines(required=True)
    questions = fields.List(fields.Nested(ExamQuestionSchema), required=True)


class ExamAnswerSchema(StrictSchema):
    exam = fields.Nested(ExamSchema, required=True)


class ExamMadeSchema(ExamAnswerSchema):
    notes = fields.List(fields.Nested(FileNoteSchema), required=True)


class ExamListSchema(StrictSchema):
    exams = fields.List(fields.Nested(ExamSummarySchema), required=True)
    nextCursor = Text(required=True, allow_none=True)


def exam_id_of(text: str) -> UUID:
    """An exam's id from an address. What can't be one is simply not there."""
    if not is_id(text):
        raise NotFound("There is no such exam.")
    return UUID(text)


@blueprint.post("")
@audited("exam.made", target="exam")
@describe(
    "Make an exam from JSON, or from a CSV or GIFT file.",
    {201: (ExamMadeSchema, "The exam, and what of a file was left out or changed.")},
    body=NewExamSchema,
    query=FILE_QUERY,
    other_bodies=FILE_BODIES,
    problems=(413,),
)
def make() -> Response:
    new, notes = sent_exam()
    exam = exams.make_exam(deps(), who().asker, new)
    response = jsonify({"exam": exam, "notes": [note.as_json() for note in notes]})
    response.status_code = 201
    response.headers["Location"] = url_for("exams.show", exam_id=exam["id"])
    return response


@blueprint.post("/preview")
@unaudited("It reads an exam and keeps nothing.")
@describe(
    "Read an exam and say what is wrong with it. Nothing is kept.",
    {200: (ExamPreviewSchema, "Its questions as they would be kept, and every problem.")},
    body=NewExamSchema,
    query=FILE_QUERY,
    other_bodies=FILE_BODIES,
    problems=(413,),
)
def preview() -> Response:
    return jsonify(preview_of())


@blueprint.get("")
@describe(
    "List exams without their questions, newest first.",
    {200: (ExamListSchema, "A page of exams.")},
    query=_LIST_QUERY,
    problems=(422,),
)
def index() -> Response:
    only_arguments(_LIST_QUERY)
    limit = whole_argument("limit", 50, 1, 200)
    found = rows.newest(deps().db, who().organization_id, read_cursor(), limit + 1)
    shown, following = page(found, limit)
    return jsonify({"exams": shown, "nextCursor": following})


@blueprint.get("/<exam_id>")
@describe("Show an exam.", {200: (ExamAnswerSchema, "The exam.")}, problems=(404,), tagged=True)
def show(exam_id: str) -> Response:
    exam = rows.read(deps().db, who().organization_id, exam_id_of(exam_id))
    if exam is None:
        raise NotFound("There is no such exam.")
    return tagged(jsonify({"exam": exam}), f"{exam['id']}-r{exam['revision']}", "private, no-cache")


@blueprint.put("/<exam_id>")
@audited("exam.saved", target="exam")
@describe(
    "Replace all an exam says. A question that carries its id keeps it.",
    {200: (ExamAnswerSchema, "The exam at its new revision.")},
    body=ExamReplacementSchema,
    problems=(404, 409),
)
def replace(exam_id: str) -> Response:
    found = exam_id_of(exam_id)
    exam: Any = exams.replace_exam(deps(), who().asker, found, load_replacement(json_body()))
    return jsonify({"exam": exam})


@blueprint.delete("/<exam_id>")
@audited("exam.removed", target="exam")
@describe(
    "Archive an exam. Courses made from it stay.",
    {204: (None, "It is not shown any more.")},
    problems=(404, 409),
)
def archive(exam_id: str) -> Response:
    exams.archive_exam(deps(), who().asker, exam_id_of(exam_id))
    return Response(status=204)

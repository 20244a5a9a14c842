"""An exam as it is sent: JSON, a file in a form (browsers), or a file as the whole body (programs)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, cast

from flask import request
from marshmallow import fields

from schema.errors import FieldError, Invalid
from schema.exam_files import FORMATS, CheckedFile, FileFormat, read_exam_file
from schema.exam_files.found import Note
from schema.exam_request import NewExam, load_new_exam, numbered
from schema.fields import StrictSchema, Text, Whole
from web.body import json_body, only_arguments, strict_json
from web.openapi import FieldErrorSchema

_ABOUT = {
    "title": "The exam's title.",
    "subject": "Its subject.",
    "gradeBand": "For whom it is, such as 3-5 or Adults.",
    "language": "A language tag such as en; the organization's language unless told.",
    "context": "What the questions are about. Texts of a GIFT file without answers are added.",
}
FILE_QUERY = {"format": f"The body is a file: {' or '.join(FORMATS)}, in UTF-8. text/csv says it too.", **_ABOUT}
_TEXTS = {name: {"type": "string", "description": sentence} for name, sentence in _ABOUT.items()}
_KIND = {"type": "string", "enum": [*FORMATS, "json"], "description": "What the file is; else its name's ending says."}
_FILE = {"type": "string", "format": "binary"}
#: What may be sent instead of JSON.
FILE_BODIES: dict[str, dict[str, Any]] = {
    "multipart/form-data": {
        "type": "object",
        "properties": {"file": _FILE, "format": _KIND, **_TEXTS},
        "required": ["file"],
    },
    "text/csv": {"type": "string"},
    "text/plain": {"type": "string"},
}
#: The types of a body that is a file, and which file that is if the type says so.
_BY_TYPE = {"text/csv": "csv", "text/plain": ""}
_BY_ENDING = {".csv": "csv", ".tsv": "csv", ".gift": "gift", ".txt": "gift", ".json": "json"}


class FileNoteSchema(StrictSchema):
    """What of a file was left out or changed."""

    line = Whole(required=True)
    message = Text(required=True)


class ExamQuestionSchema(StrictSchema):
    """A question, as shown."""

    id = Text(required=True)
    text = Text(required=True)
    options = fields.List(Text(), required=True, allow_none=True)
    answers = fields.List(Text(), required=True)
    explanation = Text(required=True)
    tags = fields.List(Text(), required=True)


class ExamPreviewSchema(StrictSchema):
    questions = fields.List(fields.Nested(ExamQuestionSchema), required=True)
    context = Text(required=True)
    problems = fields.List(fields.Nested(FieldErrorSchema), required=True)
    notes = fields.List(fields.Nested(FileNoteSchema), required=True)


@dataclass(frozen=True)
class _Sent:
    """What was sent: the body of ``POST /api/exams`` that it amounts to, and what came of the file, if it was one."""

    body: Any
    file: CheckedFile


def sent_exam() -> tuple[NewExam, Sequence[Note]]:
    """The exam of this request, and what is to be told of its file. Raises ``BadRequest``, and ``Invalid`` naming every
    fault of the file by its line."""
    sent = _sent()
    exam, faults = _loaded(sent)
    if exam is None:
        raise Invalid(faults)
    return exam, sent.file.notes


def preview_of() -> dict[str, Any]:
    """What would become of the exam of this request, as shown. It needs no title. Raises ``BadRequest``."""
    sent = _sent()
    if isinstance(sent.body, dict):
        sent.body.setdefault("title", "Preview")
    exam, faults = _loaded(sent)
    drafts = exam.drafts if exam is not None else sent.file.drafts
    return {
        "questions": numbered([{**draft, "id": None} for draft in drafts], frozenset(), 0)[0],
        "context": exam.context if exam is not None else sent.file.context,
        "problems": [fault.as_json() for fault in faults],
        "notes": [note.as_json() for note in sent.file.notes],
    }


def _loaded(sent: _Sent) -> tuple[NewExam | None, list[FieldError]]:
    """The exam, or its faults: those of the file, and those of what else was sent."""
    faults: list[FieldError] = list(sent.file.faults)
    try:
        exam = load_new_exam(sent.body)
    except Invalid as error:
        # Where the file has faults, its questions were judged already.
        return None, faults + [fault for fault in error.errors if not (faults and fault.path.startswith("questions"))]
    return (None, faults) if faults else (exam, [])


def _sent() -> _Sent:
    if request.mimetype == "multipart/form-data":
        only_arguments({})
        return _form()
    if "format" in request.args or request.mimetype in _BY_TYPE:
        only_arguments(FILE_QUERY)
        kind = request.args.get("format", _BY_TYPE.get(request.mimetype, ""))
        if not kind:
            raise Invalid([FieldError("format", "required", f"Say what the body is: {' or '.join(FORMATS)}.")])
        if kind not in FORMATS:
            raise Invalid([FieldError("format", "invalid_value", f"Use {' or '.join(FORMATS)}, or send JSON.")])
        return _from_file(request.get_data(), kind, request.args)
    only_arguments({})
    return _Sent(json_body(), CheckedFile())


def _form() -> _Sent:
    """A file from a browser's form: the field ``file``, and beside it what the exam is about."""
    known = {"format", *_ABOUT}
    faults = [FieldError(name, "unknown_field", "Unknown field.") for name in sorted({*request.form} - known)]
    faults += [FieldError(name, "unknown_field", "Unknown field.") for name in sorted({*request.files} - {"file"})]
    twice = [name for name in (*request.form, *request.files) if len(request.form.getlist(name)) > 1]
    faults += [FieldError(name, "invalid_value", "It is given more than once. Give it once.") for name in twice]
    files = request.files.getlist("file")
    if len(files) != 1:
        faults.append(FieldError("file", "required", "Send one file."))
    ending = PurePath(files[0].filename or "").suffix.lower() if files else ""
    kind = request.form.get("format") or _BY_ENDING.get(ending, "")
    if kind not in {*FORMATS, "json"}:
        faults.append(FieldError("format", "required", f"Say what the file is: {', '.join(FORMATS)} or json."))
    if faults:
        raise Invalid(faults)
    return _from_file(files[0].read(), kind, request.form)


def _from_file(raw: bytes, kind: str, about: Mapping[str, str]) -> _Sent:
    # A form sends the fields that were left empty too.
    given: dict[str, Any] = {name: about[name] for name in _ABOUT if about.get(name)}
    if kind == "json":
        found = strict_json(raw)
        whole = {"questions": found} if isinstance(found, list) else found
        return _Sent({**whole, **given} if isinstance(whole, dict) else whole, CheckedFile())
    read = read_exam_file(raw, cast(FileFormat, kind))
    if read.context:
        given["context"] = "\n\n".join(filter(None, [given.get("context", "").strip(), read.context]))
    return _Sent({**given, "questions": read.bodies}, read)

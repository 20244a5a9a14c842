"""What is sent to make or replace an exam, checked: answers become texts, a letter or an index the option it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from marshmallow import ValidationError, fields, post_load, validate

from schema.answer_key import identify, option_text
from schema.errors import FieldError, Invalid
from schema.exam import MOST_ANSWERS, MOST_OPTIONS, MOST_QUESTIONS, MOST_TAGS, Question, question_key
from schema.fields import LANGUAGE_TAG, Few, Line, Lines, StrictSchema, Text, Whole, load
from schema.wording import tidy

LONGEST_TEXT = 2000
LONGEST_CHOICE = 500
LONGEST_CONTEXT = 50_000


class Draft(TypedDict):
    """A question as it was sent, checked. ``id`` is none for a new one; the rest is as in ``Question``."""

    id: str | None
    text: str
    options: list[str] | None
    answers: list[str]
    explanation: str
    tags: list[str]


def _not_blank(value: str) -> None:
    if not value.strip():
        raise ValidationError("Must not be empty.")


_CHOICE: list[Callable[[Any], Any]] = [validate.Length(max=LONGEST_CHOICE), _not_blank]


class Choice(Lines):
    """An option: a text, or a number, which becomes its text."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return tidy(super()._deserialize(option_text(value), attr, data, **kwargs))


class Answers(fields.Raw):
    """A text, a number or a list of them; loaded as a list."""

    _text = Lines(validate=_CHOICE)

    def __init__(self) -> None:
        one: list[dict[str, Any]] = [{"type": "string"}, {"type": "number"}]
        many = {"type": "array", "items": {"oneOf": one}, "maxItems": MOST_ANSWERS}
        super().__init__(allow_none=True, metadata={"oneOf": [*one, many, {"type": "null"}]})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        given = value if isinstance(value, list) else [value]
        if len(given) > MOST_ANSWERS:
            raise ValidationError(f"Longer than maximum length {MOST_ANSWERS}.")
        for one in given:
            if isinstance(one, bool) or not isinstance(option_text(one), str):
                raise ValidationError("Not a valid answer. Use a text, a number, or a list of them.")
            self._text.deserialize(option_text(one))
        return given


class QuestionSchema(StrictSchema):
    """One question, as sent. ``answers`` is another name for ``answer``, the one it is shown under."""

    id = Text(validate=validate.Regexp(r"q[1-9][0-9]{0,8}\Z", error="Use the id the question was shown with."))
    text = Lines(required=True, validate=[validate.Length(max=LONGEST_TEXT), _not_blank])
    options = Few(Choice(validate=_CHOICE), MOST_OPTIONS, least=2, allow_none=True)
    answer = Answers()
    answers = Answers()
    explanation = Lines(load_default="", validate=validate.Length(max=LONGEST_TEXT))
    tags = Few(Line(validate=[validate.Length(max=50), _not_blank]), MOST_TAGS, load_default=list)

    @post_load
    def _draft(self, given: dict[str, Any], **_: Any) -> Draft:
        options: list[str] | None = given.get("options")
        if options is not None:
            _check_distinct(options)
        return {
            "id": given.get("id"),
            "text": tidy(given["text"]),
            "options": options,
            "answers": _answers(given, options),
            "explanation": tidy(given["explanation"]),
            "tags": list(dict.fromkeys(tag.strip() for tag in given["tags"])),
        }


def _check_distinct(options: Sequence[str]) -> None:
    places: dict[str, int] = {}
    for place, option in enumerate(options):
        # Letter by letter: "english" and "English" are two options of an exam on capitals.
        earlier = places.setdefault(option, place)
        if earlier != place:
            raise ValidationError({place: [f"Says the same as option {earlier}."]}, field_name="options")


def _answers(given: Mapping[str, Any], options: list[str] | None) -> list[str]:
    """The answers as texts, each once. Among options a text is the option that reads so, else ``B`` is the second; a
    number is an option's text or, from 0, its index."""
    name = "answers" if given.get("answers") is not None else "answer"
    if name == "answers" and given.get("answer") is not None:
        raise ValidationError("Given twice, as answer and answers.", field_name="answer")
    texts = []
    if options is not None and len(given.get(name) or []) > len(options):
        raise ValidationError("There are more answers than options.", field_name=name)
    for answer in given.get(name) or []:
        text = tidy(str(option_text(answer)))
        if options is not None and not (isinstance(answer, str) and text in options):
            place = identify(answer, options, digits_are_places=not isinstance(answer, str))
            if place is None:
                words = f"{text[:80]!r} is none of the options, or may be two of them. Give the text of an option."
                raise ValidationError(words, field_name=name)
            text = options[place]
        texts.append(text)
    return list(dict.fromkeys(texts))


class NewExamSchema(StrictSchema):
    """An exam, as sent."""

    title = Line(required=True, validate=[validate.Length(max=120), _not_blank])
    subject = Line(load_default="", validate=validate.Length(max=200))
    gradeBand = Line(load_default="", validate=validate.Length(max=50))
    language = Text(validate=LANGUAGE_TAG)
    context = Lines(load_default="", validate=validate.Length(max=LONGEST_CONTEXT))
    questions = Few(fields.Nested(QuestionSchema), MOST_QUESTIONS, least=1, required=True)


class ExamReplacementSchema(NewExamSchema):
    """All an exam is to say from now on."""

    baseRevision = Whole(validate=validate.Range(1, 2**31 - 1))


@dataclass(frozen=True)
class NewExam:
    """An exam that was sent, checked. ``language`` is none where the organization's counts; ``base`` is the revision
    that was seen, if it was told."""

    title: str
    subject: str
    grade_band: str
    language: str | None
    context: str
    drafts: Sequence[Draft]
    base: int | None = None


def load_new_exam(given: Any) -> NewExam:
    """Check the body of ``POST /api/exams``. Raises ``Invalid`` naming every faulty field."""
    exam = _exam(load(NewExamSchema(), given))
    words = "A new exam gives its questions their ids. Leave it out."
    faults = [FieldError(f"questions.{n}.id", "invalid_value", words) for n, one in enumerate(exam.drafts) if one["id"]]
    faults += doubled(exam.drafts)
    if faults:
        raise Invalid(faults)
    return exam


def load_replacement(given: Any) -> NewExam:
    """Check the body of ``PUT /api/exams/{id}``. Raises ``Invalid`` naming every faulty field."""
    exam = _exam(load(ExamReplacementSchema(), given))
    if faults := doubled(exam.drafts):
        raise Invalid(faults)
    return exam


def _exam(body: Mapping[str, Any]) -> NewExam:
    return NewExam(
        title=body["title"].strip(),
        subject=body["subject"].strip(),
        grade_band=body["gradeBand"].strip(),
        language=body.get("language"),
        context=tidy(body["context"]),
        drafts=body["questions"],
        base=body.get("baseRevision"),
    )


def doubled(drafts: Sequence[Draft | None]) -> list[FieldError]:
    """A fault for every question that an earlier one asks already. None stands for a question with faults of its
    own."""
    faults = []
    places: dict[str, int] = {}
    for place, draft in enumerate(drafts):
        if draft is None:
            continue
        earlier = places.setdefault(question_key(draft), place)
        if earlier != place:
            words = f"Asks the same as questions.{earlier}.text, with the same options."
            faults.append(FieldError(f"questions.{place}.text", "duplicate_question", words))
    return faults


def numbered(drafts: Sequence[Draft], known: frozenset[str], made: int) -> tuple[list[Question], int]:
    """The questions with their ids, and how many ids were given out by then (``made`` so far). One that carries an id
    of the exam (``known``) keeps it. Raises ``Invalid`` naming ids that are unknown or carried twice."""
    faults = []
    seen: dict[str, int] = {}
    questions: list[Question] = []
    for place, draft in enumerate(drafts):
        question_id = draft["id"]
        if question_id is None:
            made += 1
            question_id = f"q{made}"
        elif question_id not in known:
            words = "The exam has no question with this id. Leave it out for a new question."
            faults.append(FieldError(f"questions.{place}.id", "invalid_value", words))
        elif (earlier := seen.setdefault(question_id, place)) != place:
            faults.append(FieldError(f"questions.{place}.id", "invalid_value", f"questions.{earlier} has it already."))
        questions.append({**draft, "id": question_id})
    if faults:
        raise Invalid(faults)
    return questions, made

"""The course document: what a course is, as JSON. Types for our code, a strict schema for everything that comes in."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from marshmallow import ValidationError, fields, validate, validates_schema

from schema.fields import Flag, Number, StrictSchema, Text, Whole

Mode = Literal["options", "numeric"]
Variant = Literal["1", "2", "3"]
Visibility = Literal["private", "org", "public"]


class Picture(TypedDict):
    """A medium attached to an item. ``type`` is image, audio or video."""

    type: str
    url: str
    alt: str


class Arithmetic(TypedDict):
    """What an arithmetic item asks: ``a op b``, and the result the code computed."""

    a: int
    b: int
    op: Literal["+", "-", "*", "/"]
    expected: int


class Item(TypedDict):
    """One exercise. ``text`` has exactly one ``[blank]``; options mode has ``options`` and ``correctIndex``,
    numeric mode has ``answer``. ``id`` is dense from 0 over the whole course."""

    id: int
    groupId: str
    clusterId: str
    variant: Variant
    mode: Mode
    text: str
    options: NotRequired[list[str]]
    correctIndex: NotRequired[int]
    answer: NotRequired[int | float]
    hint: NotRequired[str]
    explain: NotRequired[str]
    wrongExplanations: NotRequired[dict[str, str]]
    relatedStudyTextIds: NotRequired[list[str]]
    learningObjectiveId: NotRequired[str]
    stimulus: NotRequired[Picture | None]
    optionMedia: NotRequired[list[Picture | None]]
    arithmetic: NotRequired[Arithmetic]


class StudyText(TypedDict):
    """One text to read before practising. ``content`` is Markdown with ``[SECTION:Title]`` markers and
    ``[IMAGE: what it shows]`` where a picture goes; ``learningObjectives`` are ids of the course's objectives."""

    id: str
    title: str
    order: int
    content: str
    learningObjectives: list[str]


class Objective(TypedDict):
    id: str
    text: str


class Group(TypedDict):
    id: str
    name: str


class Level(TypedDict):
    """A stretch of items: ``start`` and ``end`` are item ids, both inclusive. Together they cover every item once."""

    id: str
    title: str
    start: int
    end: int


class Lesson(TypedDict):
    """What teaches the answers to some questions of an exam. ``content`` is Markdown without raw HTML: explanation,
    example, key terms, and at its end the questions with their answers; ``objectives`` are sentences."""

    id: str
    title: str
    content: str
    objectives: list[str]
    questionIds: list[str]


class Topic(TypedDict):
    """What some questions of an exam have in common. Each question belongs to one topic, and to one lesson of it."""

    id: str
    name: str
    questionIds: list[str]
    lessons: list[Lesson]


class Provenance(TypedDict, total=False):
    """Where a course came from."""

    source: Literal["pack", "arithmetic", "llm", "editor"]
    packId: str | None
    packVersion: int | None
    seed: int | None
    model: str | None
    promptVersion: str | None
    jobId: str | None
    generatedAt: str | None
    verified: bool
    sources: list[dict[str, str]]


class Course(TypedDict):
    id: str
    title: str
    description: str
    subject: str
    gradeBand: str
    grade: str | None
    language: str
    visibility: Visibility
    tags: list[str]
    contentVersion: str
    objectives: list[Objective]
    groups: list[Group]
    levels: list[Level]
    items: list[Item]
    studyTexts: list[StudyText]
    topics: list[Topic]
    provenance: Provenance


class PictureSchema(StrictSchema):
    type = Text(required=True, validate=validate.OneOf(["image", "audio", "video"]))
    url = Text(required=True, validate=validate.Length(max=2000))
    alt = Text(required=True, validate=validate.Length(max=1000))


class ArithmeticSchema(StrictSchema):
    a = Whole(required=True)
    b = Whole(required=True)
    op = Text(required=True, validate=validate.OneOf(["+", "-", "*", "/"]))
    expected = Whole(required=True)


class ItemSchema(StrictSchema):
    """Shapes and lengths only. How many options, which index and the like are judged by ``schema.rules``,
    so that a draft with such faults can still be read, shown and repaired."""

    id = Whole(required=True, validate=validate.Range(min=0))
    groupId = Text(required=True, validate=validate.Length(1, 64))
    clusterId = Text(required=True, validate=validate.Length(1, 64))
    variant = Text(required=True, validate=validate.OneOf(["1", "2", "3"]))
    mode = Text(required=True, validate=validate.OneOf(["options", "numeric"]))
    text = Text(required=True, validate=validate.Length(max=2000))
    options = fields.List(Text(validate=validate.Length(max=200)))
    correctIndex = Whole()
    answer = Number()
    hint = Text(validate=validate.Length(max=200))
    explain = Text(validate=validate.Length(max=1000))
    wrongExplanations = fields.Dict(keys=Text(), values=Text(validate=validate.Length(max=1000)))
    relatedStudyTextIds = fields.List(Text(validate=validate.Length(max=64)))
    learningObjectiveId = Text(validate=validate.Length(max=64))
    stimulus = fields.Nested(PictureSchema, allow_none=True)
    optionMedia = fields.List(fields.Nested(PictureSchema, allow_none=True))
    arithmetic = fields.Nested(ArithmeticSchema)


class StudyTextSchema(StrictSchema):
    id = Text(required=True, validate=validate.Length(1, 64))
    title = Text(required=True, validate=validate.Length(1, 200))
    order = Whole(required=True, validate=validate.Range(min=0))
    content = Text(required=True, validate=validate.Length(max=50_000))
    learningObjectives = fields.List(Text(validate=validate.Length(max=64)), required=True)


class ObjectiveSchema(StrictSchema):
    id = Text(required=True, validate=validate.Length(1, 64))
    text = Text(required=True, validate=validate.Length(1, 500))


class GroupSchema(StrictSchema):
    id = Text(required=True, validate=validate.Length(1, 64))
    name = Text(required=True, validate=validate.Length(1, 120))


class LevelSchema(StrictSchema):
    id = Text(required=True, validate=validate.Length(1, 64))
    title = Text(required=True, validate=validate.Length(1, 120))
    start = Whole(required=True)
    end = Whole(required=True)


class LessonSchema(StrictSchema):
    id = Text(required=True, validate=validate.Length(1, 64))
    title = Text(required=True, validate=validate.Length(1, 200))
    content = Text(required=True, validate=validate.Length(max=50_000))
    objectives = fields.List(Text(), required=True)
    questionIds = fields.List(Text(), required=True)


class TopicSchema(StrictSchema):
    id = Text(required=True, validate=validate.Length(1, 64))
    name = Text(required=True, validate=validate.Length(1, 200))
    questionIds = fields.List(Text(), required=True)
    lessons = fields.List(fields.Nested(LessonSchema), required=True)


class ProvenanceSchema(StrictSchema):
    source = Text(required=True, validate=validate.OneOf(["pack", "arithmetic", "llm", "editor"]))
    packId = Text(allow_none=True)
    packVersion = Whole(allow_none=True)
    seed = Whole(allow_none=True)
    model = Text(allow_none=True)
    promptVersion = Text(allow_none=True)
    jobId = Text(allow_none=True)
    generatedAt = Text(allow_none=True)
    verified = Flag(required=True)
    sources = fields.List(fields.Dict(keys=Text(), values=Text()))


class CourseSchema(StrictSchema):
    """The whole document (public contract 4). A course has items in levels, or topics with lessons, or both."""

    id = Text(required=True, validate=validate.Regexp(r"[A-Za-z0-9-]{1,64}\Z"))
    title = Text(required=True, validate=validate.Length(1, 120))
    description = Text(required=True, validate=validate.Length(max=2000))
    subject = Text(required=True, validate=validate.Length(1, 200))
    gradeBand = Text(required=True, validate=validate.Length(1, 50))
    grade = Text(required=True, allow_none=True, validate=validate.Length(max=50))
    language = Text(required=True, validate=validate.Length(2, 35))
    visibility = Text(required=True, validate=validate.OneOf(["private", "org", "public"]))
    tags = fields.List(Text(validate=validate.Length(max=50)), required=True)
    contentVersion = Text(required=True)
    objectives = fields.List(fields.Nested(ObjectiveSchema), required=True)
    groups = fields.List(fields.Nested(GroupSchema), required=True, validate=validate.Length(min=1))
    levels = fields.List(fields.Nested(LevelSchema), required=True)
    items = fields.List(fields.Nested(ItemSchema), required=True)
    studyTexts = fields.List(fields.Nested(StudyTextSchema), required=True)
    topics = fields.List(fields.Nested(TopicSchema), required=True)
    provenance = fields.Nested(ProvenanceSchema, required=True)

    @validates_schema
    def _is_filled(self, given: dict[str, Any], **_: Any) -> None:
        """Lessons can stand for items; items never stand outside of levels."""
        items, topics = given.get("items"), given.get("topics")
        short = "Shorter than minimum length 1."
        if items == [] and not topics:
            raise ValidationError(short, "items")
        if given.get("levels") == [] and (items or not topics):
            raise ValidationError(short, "levels")

"""The catalog: what readers see of courses (public contract 2.5)."""

from __future__ import annotations

from typing import Any, TypedDict

from marshmallow import fields

from schema.course import Course
from schema.fields import Flag, StrictSchema, Text, Whole

#: The catalog of public courses belongs to no organization.
PUBLIC_CATALOG_ID = "00000000-0000-0000-0000-000000000000"


class CatalogEntry(TypedDict):
    """One course as a catalog shows it. ``updatedAt`` is ISO-8601; ``url`` leads to the course document."""

    id: str
    title: str
    description: str
    subject: str
    grade: str
    gradeBand: str
    language: str
    tags: list[str]
    itemCount: int
    hasStudyTexts: bool
    contentVersion: str
    url: str
    updatedAt: str


class ListedCourseSchema(StrictSchema):
    """What every list says of a course."""

    id = Text()
    title = Text()
    description = Text()
    subject = Text()
    gradeBand = Text()
    language = Text()
    tags = fields.List(Text())
    itemCount = Whole()
    hasStudyTexts = Flag()
    contentVersion = Text()
    updatedAt = fields.DateTime()


class CatalogEntrySchema(ListedCourseSchema):
    grade = Text()
    url = Text()


class CatalogSchema(StrictSchema):
    version = Whole()
    lastUpdated = fields.DateTime(allow_none=True)
    courses = fields.List(fields.Nested(CatalogEntrySchema))


class CatalogChangeSchema(StrictSchema):
    version = Whole()
    action = Text()
    courseId = Text()
    entry = fields.Nested(CatalogEntrySchema, allow_none=True)


class CatalogChangesSchema(StrictSchema):
    version = Whole()
    changes = fields.List(fields.Nested(CatalogChangeSchema))
    more = Flag()
    reset = Flag()


def entry_of(course: Course, url: str, updated_at: str) -> CatalogEntry:
    """The catalog entry of a course document."""
    return {
        "id": course["id"],
        "title": course["title"],
        "description": course["description"],
        "subject": course["subject"],
        "grade": course["grade"] or "All Grades",
        "gradeBand": course["gradeBand"],
        "language": course["language"],
        "tags": list(course["tags"]),
        "itemCount": len(course["items"]),
        "hasStudyTexts": bool(course["studyTexts"]),
        "contentVersion": course["contentVersion"],
        "url": url,
        "updatedAt": updated_at,
    }


def catalog_as_file(version: int, last_updated: str | None, entries: list[CatalogEntry]) -> dict[str, Any]:
    """The catalog as one JSON document, the same for the API and for ``catalog.json``."""
    return {"version": version, "lastUpdated": last_updated, "courses": entries}

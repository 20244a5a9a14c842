"""``/courses/<id>``: a course to be read and practised."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from schema.clock import iso
from web.api.courses import current_course, review_of
from web.identity import Need, needs
from web.pages import reading
from web.pages.layout import page

blueprint = needs(Blueprint("course_pages", __name__), Need(read="viewer", write="author", scope="courses"))


@blueprint.get("/courses/<course_id>")
def show(course_id: str) -> Response:
    found = current_course(course_id)
    course = found.content
    return page(
        "course.html",
        course=course,
        revision=found.revision,
        waits=review_of(found)["status"] == "waiting",
        updated_at=iso(found.created_at),
        texts=sorted(course["studyTexts"], key=lambda text: text["order"]),
        groups=grouped(course),
        objectives={one["id"]: one["text"] for one in course["objectives"]},
        rendered=reading.rendered,
        question=reading.question,
        answer_of=reading.answer_of,
        is_own_picture=reading.is_own_picture,
    )


def grouped(course: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The items under the names of their groups, in the order of both; a group without items is left out."""
    found = []
    for group in course["groups"]:
        items = [item for item in course["items"] if item["groupId"] == group["id"]]
        if items:
            found.append((group["name"], items))
    return found

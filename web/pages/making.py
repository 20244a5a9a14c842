"""``/new``: ask for a course, from a subject or from an exam. The forms send what they hold to the API."""

from __future__ import annotations

from flask import Blueprint, Response, request

from web.identity import Need, needs
from web.pages.layout import page
from web.wiring import deps

blueprint = needs(Blueprint("making_pages", __name__), Need(read="author", write="author", scope="jobs"))


@blueprint.get("/new")
def show() -> Response:
    way = "exam" if request.args.get("from") == "exam" else "subject"
    return page("new_course.html", way=way, has_model=deps().settings.model.configured)

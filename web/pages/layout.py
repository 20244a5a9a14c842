"""What every page has: the frame around it, and that it is kept nowhere."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from flask import Flask, Response, g, render_template, request

from schema.errors import CoursewrightError
from storage import job_lists, organizations
from web.identity import Identity, forgery, maybe
from web.wiring import deps

#: Never kept: what a page shows is true at the moment it is asked for, also by a back button.
HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Accept, Cookie",
}


def page(template: str, status: int = 200, **shown: Any) -> Response:
    """A page, with its frame as the one who asks may see it."""
    return Response(render_template(template, **_frame(g.get("identity")), **shown), status, HEADERS)


def open_page(template: str, status: int = 200, **shown: Any) -> Response:
    """A page for everybody, such as one that tells of an error, with the frame of whoever is signed in all the same. It
    needs no database: who can't be found out just now sees an empty frame."""
    frame: dict[str, Any] = {}
    if status < 500:
        with suppress(CoursewrightError):
            frame = _frame(g.get("identity") or maybe())
    return Response(render_template(template, request_id=g.get("request_id"), **frame, **shown), status, HEADERS)


def _frame(identity: Identity | None) -> dict[str, Any]:
    """What the frame shows of the one who asks; nothing where nobody is signed in."""
    if identity is None:
        return {}
    organization = organizations.read(deps().db, identity.organization_id)
    return {
        "organization": organization.name if organization else identity.organization_slug,
        "may_write": identity.role != "viewer",
        "may_approve": identity.role == "admin",
        "running": job_lists.at_work(deps().db, identity.organization_id, private=identity.sees_private),
        "has_user": identity.user is not None,
        "csrf": forgery.token_of(identity.session) if identity.session is not None else None,
    }


def register(app: Flask) -> None:
    """Let pages of other sites use our scripts, the progress element above all. They hold nothing of anybody's."""

    @app.after_request
    def _for_every_site(response: Response) -> Response:
        if request.endpoint == "static":
            response.headers["Access-Control-Allow-Origin"] = "*"
        return response

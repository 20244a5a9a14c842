"""``create_app()``: blueprints, errors, identity; nothing else."""

from __future__ import annotations

import re
import time

import structlog
from flask import Flask, Response, g, request
from flask.json.provider import DefaultJSONProvider

from schema.clock import new_id
from tasks import logs
from tasks.packs import shelf
from web import auditing, caching, content, identity, openapi, problems, system, traffic, watched
from web.api import (
    admin,
    audit,
    batches,
    catalog,
    courses,
    dead_letters,
    debug_files,
    exams,
    generation,
    jobs,
    members,
    organization_settings,
    partial,
    reviews,
    schedules,
    session,
    statistics,
    stream,
    tokens,
    webhooks,
)
from web.guarding import order
from web.pages import audit as audit_pages
from web.pages import catalog as catalog_pages
from web.pages import courses as course_pages
from web.pages import entrance, home, layout, making
from web.pages import jobs as job_pages
from web.wiring import check_role, deps

log = structlog.get_logger(__name__)

#: The largest request body, in bytes. The largest valid one, a course request, is under 10 kB.
LARGEST_BODY = 1_000_000


class _Json(DefaultJSONProvider):
    sort_keys = False
    ensure_ascii = False


def create_app() -> Flask:
    """The web application of this process, wired from its environment."""
    settings = deps().settings
    check_role()
    shelf()  # a faulty pack stops the start, instead of every request
    logs.configure(settings.log_level)
    app = Flask(__name__)
    watched.follow(app, settings)
    app.json = _Json(app)
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=LARGEST_BODY,
    )
    _name_requests(app)
    for blueprint in (
        jobs.blueprint,
        partial.blueprint,
        batches.blueprint,
        stream.blueprint,
        stream.older,
        generation.blueprint,
        courses.blueprint,
        reviews.blueprint,
        catalog.blueprint,
        catalog.public,
        exams.blueprint,
        organization_settings.blueprint,
        webhooks.blueprint,
        schedules.blueprint,
        session.blueprint,
        tokens.blueprint,
        members.blueprint,
        admin.blueprint,
        dead_letters.blueprint,
        debug_files.blueprint,
        statistics.blueprint,
        audit.blueprint,
        content.blueprint,
        content.public,
        system.blueprint,
        openapi.blueprint,
        home.blueprint,
        catalog_pages.blueprint,
        course_pages.blueprint,
        job_pages.blueprint,
        making.blueprint,
        audit_pages.blueprint,
        entrance.blueprint,
    ):
        app.register_blueprint(blueprint)
    problems.register(app)
    order.before_identity(app)
    identity.register(app)
    order.after_identity(app)
    auditing.register(app)
    caching.register(app)
    layout.register(app)
    return app


def _name_requests(app: Flask) -> None:
    """Every request has an id: the caller's when it is a sensible one, else a fresh one."""

    @app.before_request
    def _begin() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) else str(new_id())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=g.request_id)
        g.began = time.monotonic()

    @app.after_request
    def _end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        # The rule, not the path: a login link's path holds its token.
        rule = request.url_rule.rule if request.url_rule is not None else None
        seconds = time.monotonic() - g.began
        traffic.count(request.blueprint, request.method, response.status_code, seconds)
        log.info(
            "request",
            method=request.method,
            rule=rule,
            status=response.status_code,
            milliseconds=round(seconds * 1000, 1),
        )
        return response

"""``/api/openapi.json`` from the descriptions beside the views, and ``/docs`` to browse it."""

from __future__ import annotations

import re
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import flask_swagger_ui
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Flask, Response, current_app, jsonify, render_template, send_from_directory
from marshmallow import Schema, fields, validate

from schema.fields import Lines, StrictSchema, Text, Whole
from schema.version import VERSION
from web.arguments import as_pattern, schema_of, without
from web.describe import Description, Either, describe
from web.error_advice import ADVICE
from web.guarding.rates import UNCOUNTED
from web.identity import PUBLIC, SESSION_COOKIE, Need, forgery, need_of, needs
from web.pages.layout import open_page

blueprint = needs(Blueprint("docs", __name__), PUBLIC)

_ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
_WITHOUT_BODY = {204, 302, 304}
_WHEN_LIMITED = {
    "Retry-After": {"description": "In how many seconds to ask again.", "schema": {"type": "integer"}},
}
_SHOWN = ("/api/", "/content/", "/healthz", "/readyz", "/metrics")


class FieldErrorSchema(StrictSchema):
    """``line`` is that of a file, where the fault is in one."""

    path = Text(required=True)
    code = Text(required=True)
    message = Text(required=True)
    line = Whole()


class ProblemSchema(Schema):
    """Every error (RFC 9457)."""

    type = Text(required=True)
    title = Text(required=True)
    status = Whole(required=True)
    detail = Text(required=True)
    code = Text(required=True)
    requestId = Text(required=True, allow_none=True)
    details = fields.Dict()
    errors = fields.List(fields.Nested(FieldErrorSchema))


def build(app: Flask) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an app."""
    spec = APISpec(
        title="Coursewright",
        version=VERSION,
        openapi_version="3.1.0",
        info={
            "description": "A course factory: ask for a course, follow its job, read it from the catalog. "
            "RateLimit-Limit, RateLimit-Remaining and RateLimit-Reset say how often you may ask, and for how long."
        },
        plugins=[_Plugin(schema_name_resolver=_name)],
    )
    spec.components.security_scheme("agent", {"type": "apiKey", "in": "header", "name": "X-Agent-Token"})
    spec.components.security_scheme("organization", {"type": "apiKey", "in": "header", "name": "X-Organization-Id"})
    spec.components.security_scheme("user", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    spec.components.security_scheme("cookie", {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE})
    spec.components.security_scheme("csrf", {"type": "apiKey", "in": "header", "name": forgery.HEADER})
    spec.components.security_scheme("token", {"type": "apiKey", "in": "query", "name": "token"})
    spec.components.schema("Problem", schema=ProblemSchema)
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        description: Description | None = getattr(app.view_functions[rule.endpoint], "description", None)
        if description is None or not rule.rule.startswith(_SHOWN):
            continue
        need = need_of(app, rule.endpoint.split(".")[0])
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            operation = _operation(rule.endpoint, rule.arguments, description, need)
            if not need.public:
                operation["security"] = _ways_in(need, writing=method != "GET")
            spec.path(path, operations={method.lower(): operation})
    return spec.to_dict()


class _Plugin(MarshmallowPlugin):
    """Writes patterns as other languages read them: JSON Schema's search anywhere in a text and know no ``\\Z``."""

    def init_spec(self, spec: APISpec) -> None:
        super().init_spec(spec)
        if self.converter is not None:
            self.converter.add_attribute_function(_pattern)  # type: ignore[no-untyped-call]
            self.converter.add_attribute_function(_either)  # type: ignore[no-untyped-call]


def _pattern(_: Any, field: fields.Field[Any], **__: Any) -> dict[str, Any]:
    for rule in field.validators:
        if isinstance(rule, validate.Regexp):
            return {"pattern": as_pattern(cast("re.Pattern[str]", rule.regex))}
        if isinstance(rule, validate.Email):
            return {"format": "email"}
    return {"pattern": without(field.refused)} if isinstance(field, Lines) else {}


def _either(converter: Any, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    if isinstance(field, Either):
        return {"oneOf": [converter.resolve_nested_schema(schema) for schema in field.schemas]}
    return {}


def _name(given: Any) -> str:
    kind = given if isinstance(given, type) else type(given)
    return str(kind.__name__).removesuffix("Schema").lstrip("_")


def _answers(description: Description, is_public: bool, *, counted: bool) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status, (schema, sentence) in description.answers.items():
        answer: dict[str, Any] = {"description": sentence}
        if status not in _WITHOUT_BODY:
            answer["content"] = {description.media_type: {"schema": schema} if schema else {}}
        answers[str(status)] = answer
    if description.tagged:
        answers.setdefault("304", {"description": "What If-None-Match names is still current."})
    refusals = set(description.problems) | (set() if is_public else {400, 401, 403, 503})
    if description.body is not None:
        refusals |= {400, 413, 422}
    if counted:
        refusals.add(429)
    for status in sorted(refusals - set(description.answers)):
        answers[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": "Problem"}},
        }
        if status == 429:
            answers["429"]["headers"] = _WHEN_LIMITED
    return answers


def _parameters(arguments: set[str], description: Description) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"in": "path", "name": name, "required": True, "schema": {"type": "string"}} for name in sorted(arguments)
    ]
    for name, sentence in description.query.items():
        schema = schema_of(sentence)
        parameters.append({"in": "query", "name": name, "description": str(sentence), "schema": schema})
    for name, sentence in description.headers.items():
        schema = schema_of(sentence)
        parameters.append({"in": "header", "name": name, "description": str(sentence), "schema": schema})
    return parameters


def _operation(endpoint: str, arguments: set[str], description: Description, need: Need) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.replace(".", "_"),
        "tags": [endpoint.split(".")[0]],
        "summary": description.summary,
        "parameters": _parameters(arguments, description),
        "responses": _answers(description, need.public, counted=endpoint not in UNCOUNTED),
        "security": [],
    }
    if description.body is not None:
        content: dict[str, Any] = {"application/json": {"schema": description.body}}
        content |= {media_type: {"schema": dict(schema)} for media_type, schema in description.other_bodies.items()}
        operation["requestBody"] = {"required": description.body_required, "content": content}
    return operation


def _ways_in(need: Need, *, writing: bool) -> list[dict[str, list[str]]]:
    """Each of these is enough. A user's token needs the organization where it names none."""
    user: list[dict[str, list[str]]] = [{"user": []}, {"user": [], "organization": []}]
    cookie: dict[str, list[str]] = {"cookie": [], "csrf": []} if writing else {"cookie": []}
    by_token: list[dict[str, list[str]]] = [{"token": []}] if need.by_token else []
    return [{"agent": [], "organization": []}, *user, cookie, *by_token]


@cache
def _built() -> dict[str, Any]:
    return build(current_app)


@blueprint.get("/api/openapi.json")
@describe("This API, described.", {200: (None, "An OpenAPI 3.1 document.")})
def openapi() -> Response:
    return jsonify(_built())


@blueprint.get("/docs")
def browse() -> str:
    return render_template("docs.html")


@blueprint.get("/docs/errors")
def errors() -> Response:
    return open_page("errors.html", advice=ADVICE)


@blueprint.get("/docs/assets/<path:name>")
def asset(name: str) -> Response:
    response = send_from_directory(_ASSETS, name)
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response

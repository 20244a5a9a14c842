"""The API's own description: whole, and true to the OpenAPI 3.1 specification as far as its structure goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from web.identity import SESSION_COOKIE, need_of
from web.openapi import build

METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
TYPES = {"string", "number", "integer", "boolean", "array", "object", "null"}
#: Keywords of JSON Schema 2020-12 that this API may use. OpenAPI 3.0's own (``nullable`` above all) are not among them.
KEYWORDS = {
    *("$ref", "type", "format", "enum", "const", "default", "properties", "required", "additionalProperties"),
    *("items", "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum", "pattern", "description"),
    *("anyOf", "oneOf", "allOf", "readOnly", "propertyNames"),
}
TAKES_FILES = {"/api/exams", "/api/exams/preview"}
WITHOUT_BODY = {"204", "302", "304"}


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    with app.app_context():
        return build(app)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def schemas_in(part: Any) -> Iterator[dict[str, Any]]:
    """Every Schema Object of the document: those of components, and those that stand under a ``schema``."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "schema":
                yield from _whole(value)
            elif key == "schemas":
                for schema in value.values():
                    yield from _whole(schema)
            else:
                yield from schemas_in(value)
    elif isinstance(part, list):
        for inner in part:
            yield from schemas_in(inner)


def _whole(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema with all schemas inside it."""
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from _whole(inner)
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(key), dict):
            yield from _whole(schema[key])
    for key in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(key, []):
            yield from _whole(inner)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


class TestDescribed:
    def test_every_address_of_the_api_and_of_contents_is_described(self, app: Flask, document: dict[str, Any]) -> None:
        rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith(("/api/", "/content/"))]
        assert len(rules) > 15
        for rule in rules:
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            methods = {method.lower() for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
            assert methods <= document["paths"].get(path, {}).keys(), f"{rule.rule} has no @describe"

    def test_operators_find_theirs_too(self, document: dict[str, Any]) -> None:
        assert {"/healthz", "/readyz", "/metrics"} <= document["paths"].keys()

    def test_who_may_come_in_is_told_as_it_is(self, app: Flask, document: dict[str, Any]) -> None:
        for path, _, operation in operations(document):
            public = need_of(app, operation["tags"][0]).public
            assert (operation["security"] == []) is public, path
            assert public or {"400", "401", "403", "503"} <= operation["responses"].keys(), path

    def test_every_way_in_is_told(self, document: dict[str, Any]) -> None:
        ways = document["components"]["securitySchemes"]
        cookies = [way["name"] for way in ways.values() if way.get("in") == "cookie"]
        assert cookies == [SESSION_COOKIE]
        assert {name: (way["type"], way.get("scheme") or way.get("name")) for name, way in ways.items()} == {
            "agent": ("apiKey", "X-Agent-Token"),
            "organization": ("apiKey", "X-Organization-Id"),
            "user": ("http", "bearer"),
            "cookie": ("apiKey", SESSION_COOKIE),
            "csrf": ("apiKey", "X-CSRF-Token"),
            "token": ("apiKey", "token"),
        }

    def test_it_is_served_to_anybody_and_says_the_same(self, app: Flask, document: dict[str, Any]) -> None:
        answer = app.test_client().get("/api/openapi.json")
        assert answer.status_code == 200
        assert answer.get_json() == document


class TestOperations:
    def test_each_has_a_sentence_and_a_name_of_its_own(self, document: dict[str, Any]) -> None:
        names = [operation["operationId"] for _, _, operation in operations(document)]
        assert len(set(names)) == len(names)
        for path, _, operation in operations(document):
            assert operation["summary"].endswith("."), path
            assert operation["tags"], path

    def test_each_says_what_a_good_answer_is_and_every_answer_has_words(self, document: dict[str, Any]) -> None:
        for path, method, operation in operations(document):
            answers = operation["responses"]
            assert any(status[0] in "23" for status in answers), f"{method} {path}"
            for status, answer in answers.items():
                assert re.fullmatch(r"[1-5]\d\d", status), f"{method} {path}"
                assert answer["description"], f"{method} {path} {status}"
                assert ("content" not in answer) is (status in WITHOUT_BODY), f"{method} {path} {status}"

    def test_every_error_is_a_problem_document(self, document: dict[str, Any]) -> None:
        for path, method, operation in operations(document):
            for status, answer in operation["responses"].items():
                if status.startswith("4") or (status == "503" and operation["security"]):
                    content = answer["content"]
                    assert list(content) == ["application/problem+json"], f"{method} {path} {status}"
                    assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}

    def test_what_can_be_wrong_is_told(self, document: dict[str, Any]) -> None:
        for path, method, operation in operations(document):
            told = operation["responses"].keys()
            if "{" in path:
                assert told & {"404", "403"}, f"{method} {path} names a thing that may not be there"
            if any(parameter["schema"]["type"] == "integer" for parameter in operation["parameters"]):
                assert "422" in told, f"{method} {path} takes a number that may not be one"
            if "requestBody" in operation:
                assert {"400", "413", "422"} <= told, f"{method} {path} takes a body that may be anything"

    def test_all_but_health_may_be_asked_too_often(self, document: dict[str, Any]) -> None:
        for path, method, operation in operations(document):
            limited = "429" in operation["responses"]
            assert limited is (path not in {"/healthz", "/readyz", "/metrics"}), f"{method} {path}"
            assert not limited or "Retry-After" in operation["responses"]["429"]["headers"], f"{method} {path}"

    def test_each_parameter_of_an_address_is_declared_once_and_no_other(self, document: dict[str, Any]) -> None:
        for path, method, operation in operations(document):
            declared = [(parameter["in"], parameter["name"]) for parameter in operation["parameters"]]
            assert len(set(declared)) == len(declared), f"{method} {path}"
            in_path = {name for place, name in declared if place == "path"}
            assert in_path == set(re.findall(r"\{(\w+)\}", path)), f"{method} {path}"
            for parameter in operation["parameters"]:
                assert parameter["in"] in {"path", "query", "header", "cookie"}
                assert parameter["in"] != "path" or parameter["required"] is True
                assert parameter["schema"]["type"] in TYPES

    def test_a_method_that_takes_nothing_declares_no_body(self, document: dict[str, Any]) -> None:
        for path, method, operation in operations(document):
            assert method in METHODS
            if method in {"get", "head", "delete"}:
                assert "requestBody" not in operation, path
            else:
                body = operation.get("requestBody", {"content": {"application/json": {"schema": {}}}})
                files = {"multipart/form-data", "text/csv", "text/plain"} if path in TAKES_FILES else set()
                assert set(body["content"]) == {"application/json"} | files, path

    def test_headers_that_change_an_answer_are_declared(self, document: dict[str, Any]) -> None:
        declared = {
            (path, method, parameter["name"]): parameter.get("required", False)
            for path, method, operation in operations(document)
            for parameter in operation["parameters"]
            if parameter["in"] == "header"
        }
        assert declared == {
            ("/api/jobs", "post", "Idempotency-Key"): False,
            ("/api/jobs/batch", "post", "Idempotency-Key"): False,
            ("/api/generation/start", "post", "Idempotency-Key"): False,
            ("/api/jobs/{job_id}/stream", "get", "Last-Event-ID"): False,
            ("/api/generation/stream/{job_id}", "get", "Last-Event-ID"): False,
            ("/api/catalog/stream", "get", "Last-Event-ID"): False,
            ("/api/public/catalog/stream", "get", "Last-Event-ID"): False,
        }

    def test_a_body_that_may_be_left_out_is_told(self, document: dict[str, Any]) -> None:
        bodies = {
            path: operation["requestBody"]["required"]
            for path, _, operation in operations(document)
            if "requestBody" in operation
        }
        assert bodies == {
            "/api/jobs": True,
            "/api/jobs/{job_id}/cancel": False,
            "/api/jobs/batch": True,
            "/api/generation/start": True,
            "/api/generation/cancel": True,
            "/api/batches/{batch_id}/cancel": False,
            "/api/exams": True,
            "/api/exams/preview": True,
            "/api/exams/{exam_id}": True,
            "/api/courses/{course_id}/approve": False,
            "/api/settings": True,
            "/api/webhooks": True,
            "/api/webhooks/{webhook_id}": True,
            "/api/tokens": True,
            "/api/tokens/{token_id}": True,
            "/api/members": True,
            "/api/members/{user_id}": True,
            "/api/schedules": True,
            "/api/schedules/{schedule_id}": True,
            "/api/admin/dead-letters/requeue": False,
        }

    def test_what_has_an_etag_may_be_unchanged(self, document: dict[str, Any]) -> None:
        assert {path for path, _, operation in operations(document) if "304" in operation["responses"]} == {
            "/api/jobs/{job_id}/partial",
            "/api/catalog",
            "/api/public/catalog",
            "/api/courses/{course_id}",
            "/api/exams/{exam_id}",
            "/content/courses/{course_id}/course.json",
            "/content/public/{organization_slug}/{course_id}/course.json",
            "/content/media/{name}",
        }


class TestDocument:
    def test_it_says_which_specification_it_follows(self, document: dict[str, Any]) -> None:
        assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
        assert document["info"]["title"] and document["info"]["version"]
        assert document.keys() <= {"openapi", "info", "servers", "paths", "components", "security", "tags"}
        assert all(path.startswith("/") for path in document["paths"])

    def test_every_reference_leads_somewhere_and_every_part_is_referred_to(self, document: dict[str, Any]) -> None:
        found = set(references(document))
        assert found
        for reference in found:
            place: Any = document
            for step in reference.removeprefix("#/").split("/"):
                place = place[step]
            assert place
        assert found == {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    def test_names_of_parts_are_proper_names(self, document: dict[str, Any]) -> None:
        for name in document["components"]["schemas"]:
            assert re.fullmatch(r"[A-Z][A-Za-z]+", name), "a digit at the end means two schemas of the same name"

    def test_schemas_use_only_what_json_schema_knows(self, document: dict[str, Any]) -> None:
        seen = 0
        for schema in schemas_in(document):
            seen += 1
            assert schema.keys() <= KEYWORDS, schema
            types = schema.get("type", [])
            assert set([types] if isinstance(types, str) else types) <= TYPES, schema
            Draft202012Validator.check_schema(schema)
            assert set(schema.get("required", [])) <= schema.get("properties", {}).keys(), schema
            if "pattern" in schema:
                # As ECMAScript reads it: it searches anywhere, and to it \\Z is the letter Z.
                assert re.fullmatch(r"\^(?!.*(\\Z|\\A|\(\?P|\(\?i)).*\$", schema["pattern"]), schema
        assert seen > 50

    def test_security_names_only_ways_there_are(self, document: dict[str, Any]) -> None:
        ways = document["components"]["securitySchemes"]
        for _, _, operation in operations(document):
            for way in operation["security"]:
                assert way.keys() <= ways.keys()

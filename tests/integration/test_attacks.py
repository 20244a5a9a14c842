"""Ways around the front: names that lead elsewhere, headers that say more than one thing, keys, cursors, tags and
tokens of others, and bodies with more in them than was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import event
from werkzeug.test import TestResponse

from schema.clock import new_id
from storage.db import Database
from tests.access.people import Person
from tests.access.table import BODIES, LINES, Line
from tests.access.things import MARK
from tests.access.world import OURS, Cell, World, told
from tests.integration.stage import change

#: Lines whose address names something of an organization.
NAMED = [line for line in LINES if line.kind and "<" in line.rule and line.who not in {"everybody", "anybody"}]
LISTS = [
    *("/api/jobs", "/api/batches", "/api/exams", "/api/schedules", "/api/tokens", "/api/audit", "/api/admin/jobs"),
    *("/api/admin/dead-letters", "/api/reviews"),
]
OWN, OTHER = "environment's agent", "environment's agent of the others"


def ask(world: World, method: str, path: str, name: str = OWN, **more: Any) -> TestResponse:
    """As somebody, with more headers than theirs."""
    headers = {**world.people[name].headers, **more.pop("headers", {})}
    return world.client.open(path, method=method, headers=headers, buffered=True, **more)


def first(world: World, kind: str, visibility: str = "org") -> dict[str, str]:
    """What of ours has this visibility."""
    [names] = [thing.names for thing in world.known[kind] if thing.visibility == visibility]
    return names


def tells(answer: TestResponse) -> set[str]:
    """The marks of ours that an answer holds, but for what is public."""
    text = answer.get_data(as_text=True).lower()
    return {mark for seen, mark in MARK.items() if seen != "public" and mark.lower() in text}


# --- names that lead elsewhere ----------------------------------------------------------------------------------------

ODD = {
    "up": "..%2F..%2Fetc%2Fpasswd",
    "up twice encoded": "%252e%252e%252f%252e%252e%252fetc",
    "up by backslashes": "..%5C..%5Cetc",
    "a NUL": "a%00b",
    "a line break": "a%0D%0AX-Evil:%201",
    "very long": "a" * 4000,
    "no UTF-8": "%ff%fe",
    "a quote": "'%20OR%20'1'='1",
    "a wildcard": "%25",
    "emoji": "%F0%9F%92%A3",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_name_that_is_none_is_not_there(world: World, odd: str) -> None:
    before = world.rows(OURS)
    for line in NAMED:
        path = line.rule
        for argument in ("course_id", "job_id", "batch_id", "exam_id", "webhook_id", "schedule_id", "token_id", "name"):
            path = path.replace(f"<{argument}>", odd).replace(f"<path:{argument}>", odd)
        path = path.replace("<path:user_id>", odd).replace("<delivery_id>", odd).replace("<organization_slug>", odd)
        body = BODIES[line.sends] if line.sends else None
        answer = ask(world, line.method, path, json=body)
        assert answer.status_code in {404, 405}, f"{line.name}: {answer.status_code} {answer.text[:200]}"
        assert "X-Evil" not in answer.headers
    assert world.rows(OURS) == before


@pytest.mark.parametrize("shape", ["{{{0}}}", "urn:uuid:{0}", "%20{0}", "{0}%20", "{0}%00", "{0}/", "{0}%0A", "０{0}"])
def test_an_id_has_one_spelling(world: World, shape: str) -> None:
    """What Python or Postgres would take for the same id is not the same address."""
    for line in NAMED:
        names = first(world, str(line.kind))
        if line.kind in {"course", "medium", "member"}:
            continue
        path = line.rule.replace("<path:name>", "repair.json")
        for argument, value in names.items():
            path = path.replace(f"<{argument}>", shape.format(value))
        answer = ask(world, line.method, path, json=BODIES[line.sends] if line.sends else None)
        # A slash too many is one of the address, and leads to the address without it.
        assert answer.status_code in {404, 405, *({308} if shape.endswith("/") else ())}, line.name


def test_a_users_id_in_an_address_leads_back_to_that_user(world: World) -> None:
    for user_id in ("a..b", "%2e%2e%2f", "a?b#c", "é //x", "a b", "a/", "http://evil.example/"):
        made = ask(world, "POST", "/api/members", json={"userId": user_id, "role": "viewer"})
        assert made.status_code == 201, made.text
        where = made.headers["Location"]
        assert where.startswith("/api/members/") and where.isascii() and "\n" not in where
        found = ask(world, "GET", where)
        assert (found.status_code, found.get_json()["userId"]) == (200, user_id), where
    for user_id in ("a/../b", "..", "./a", "/", "/a"):
        refused = ask(world, "POST", "/api/members", json={"userId": user_id, "role": "viewer"})
        assert refused.status_code == 422, "no address would lead to such a member"


# --- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["X-Request-Id", "Idempotency-Key", "If-None-Match", "X-Organization-Id", "Last-Event-ID"]
)
def test_no_header_breaks_out_of_its_line(world: World, name: str) -> None:
    """No server of ours lets a line break through; the app doesn't rely on that."""
    broken = {f"HTTP_{name.upper().replace('-', '_')}": "abc\r\nX-Evil: 1\r\n\r\n<script>"}
    for method, path, body in (("GET", "/api/jobs", None), ("POST", "/api/jobs", BODIES["job"])):
        answer = ask(world, method, path, json=body, environ_overrides=broken)
        assert answer.status_code < 500
        assert "X-Evil" not in answer.headers and "<script>" not in str(answer.headers)
    if name == "Idempotency-Key":
        assert (answer.status_code, answer.get_json()["code"]) == (400, "bad_key")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd.csv", "a\x00.csv", "x.csv\r\nX-Evil: 1", "e" * 5000 + ".csv", "\u202e.csv"]
)
def test_what_a_file_is_called_is_of_no_consequence(world: World, name: str) -> None:
    sent = {"file": (BytesIO(b"text,answer\nWho votes?,All\n"), name), "title": "Civics", "format": "csv"}
    answer = ask(world, "POST", "/api/exams", data=sent, content_type="multipart/form-data")
    assert answer.status_code in {201, 400, 422} and "X-Evil" not in answer.headers
    if answer.status_code == 201:
        assert answer.headers["Location"] == f"/api/exams/{answer.get_json()['exam']['id']}"


def test_who_is_asked_does_not_follow_from_the_host_header(world: World) -> None:
    evil = {"Host": "attacker.example", "X-Forwarded-Host": "attacker.example", "Forwarded": "host=attacker.example"}
    for line in LINES:
        if line.method == "GET":
            thing = world.known[line.kind][0] if line.kind else None
            person = world.people[OWN]
            asking = Person(person.name, person.organization_id, person.role, headers={**person.headers, **evil})
            answer = world.ask(Cell(line, "GET", asking, thing))
            assert "attacker" not in answer.get_data(as_text=True) + str(answer.headers), line.name
    started = ask(world, "POST", "/api/jobs", json=BODIES["job"], headers=evil)
    assert "attacker" not in started.text + str(started.headers)


@pytest.mark.parametrize("asked", ["{0},{1}", "{0} {1}", "{1}\t", "*", "{1}'--", "%s"])
def test_one_header_names_one_organization(world: World, asked: str) -> None:
    header = asked.format(OURS, world.theirs)
    answer = ask(world, "GET", "/api/jobs", OTHER, headers={"X-Organization-Id": header})
    assert answer.status_code in {200, 403} and not tells(answer)
    assert answer.status_code == 403 or header.strip() == str(world.theirs)


@pytest.mark.parametrize("trick", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_the_method_is_the_method(world: World, trick: str) -> None:
    exam = first(world, "exam")["exam_id"]
    before = world.rows(OURS)
    for method, status in (("GET", 200), ("POST", 405), ("HEAD", 200), ("TRACE", 405)):
        answer = ask(world, method, f"/api/exams/{exam}?_method=DELETE", "viewer", headers={trick: "DELETE"})
        assert answer.status_code == status
    assert world.rows(OURS) == before


def test_what_may_be_asked_of_an_address_tells_nothing_of_what_is_there(world: World) -> None:
    noted = world.rows(world.theirs)["audit_log"]
    for line in NAMED:
        there, gone = (
            told(world.ask(Cell(line, "OPTIONS", world.people[OTHER], thing)))
            for thing in (world.known[str(line.kind)][0], world.gone[str(line.kind)])
        )
        assert there == gone, line.name
    assert world.rows(world.theirs)["audit_log"] == noted, "it is no deed"


# --- keys, cursors, tags and ids of others ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/batch"])
def test_an_idempotency_key_of_others_is_just_a_key(world: World, path: str) -> None:
    key = {"Idempotency-Key": f"key-{new_id()}"}
    body: Any = BODIES["batch" if path.endswith("batch") else "job"]
    other_body = json.loads(json.dumps(body).replace("Addition", "Subtraction"))
    ours = ask(world, "POST", path, json=body, headers=key)
    before = world.rows(OURS)
    same = ask(world, "POST", path, OTHER, json=body, headers=key)
    assert (ours.status_code, same.status_code) == (202, 202)
    assert ours.headers["Location"] != same.headers["Location"]
    assert ask(world, "POST", path, OTHER, json=other_body, headers=key).get_json()["code"] == "idempotency_conflict"
    key_of_ours = {"Idempotency-Key": f"key-{new_id()}"}
    assert ask(world, "POST", path, json=body, headers=key_of_ours).status_code == 202
    different = ask(world, "POST", path, OTHER, json=other_body, headers=key_of_ours)
    assert different.status_code == 202, "whether others have used a key is not told"
    assert {name for name, rows in world.rows(OURS).items() if rows != before[name]} <= {
        *("jobs", "job_payloads", "job_events", "job_keys", "batches", "audit_log", "idempotency_keys"),
    }


@pytest.mark.parametrize("path", LISTS)
def test_a_cursor_of_others_is_a_place_in_ones_own_list(world: World, path: str) -> None:
    for _ in range(2):
        world.things.make("job", state="dead_letter")
    for kind in ("batch", "exam", "schedule", "token"):
        world.things.make(kind)
    cursor = ask(world, "GET", f"{path}?limit=1").get_json().get("nextCursor")
    assert cursor or path == "/api/reviews"
    for given in (cursor or "MjAyNi0xMS0yMVQwMDowMDowMCswMDowMHwwMDAwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDE",):
        answer = ask(world, "GET", path, OTHER, query_string={"cursor": given, "limit": 100})
        assert answer.status_code == 200, answer.text
        assert not [thing for kind in world.known.values() for thing in kind if named_in(thing.names, answer.text)]


def named_in(names: Mapping[str, str], text: str) -> bool:
    """Whether an id of something of ours is told."""
    return any(value in text for name, value in names.items() if name.endswith("_id"))


@pytest.mark.parametrize("name", ["batchId", "courseId", "createdBy", "cursor"])
def test_a_filter_with_an_id_of_others_finds_nothing(world: World, name: str) -> None:
    values = {
        "batchId": first(world, "batch")["batch_id"],
        "courseId": first(world, "course")["course_id"],
        "createdBy": "author@example.org",
        "cursor": "",
    }
    answer = ask(world, "GET", "/api/jobs", OTHER, query_string={name: values[name]})
    assert answer.status_code == (422 if name == "cursor" else 200)
    assert name == "cursor" or answer.get_json()["jobs"] == []


def test_a_tag_of_others_is_unknown(world: World) -> None:
    """Neither 304 nor the tag itself."""
    for rule in ("/api/courses/<course_id>", "/api/exams/<exam_id>", "/api/jobs/<job_id>/partial", "/api/catalog"):
        [line] = [line for line in LINES if (line.method, line.rule) == ("GET", rule)]
        thing = world.known[line.kind][-1] if line.kind else None
        tag = world.ask(Cell(line, "GET", world.people[OWN], thing)).headers["ETag"]
        person = world.people[OTHER]
        for given in (tag, "*", f"{tag}, W/{tag}"):
            asking = Person("other", world.theirs, "admin", headers={**person.headers, "If-None-Match": given})
            answer = world.ask(Cell(line, "GET", asking, thing))
            assert answer.status_code == (404 if thing else 304 if given == "*" else 200), (rule, given)
            assert answer.headers.get("ETag") != tag


def test_an_exam_of_others_is_not_there_for_any_work(world: World) -> None:
    before = world.rows(OURS)
    theirs, none = first(world, "exam")["exam_id"], str(new_id())

    def refusals(exam_id: str) -> list[Any]:
        work = {"jobType": "exam_course", "payload": {"examId": exam_id}}
        timed = {"name": "x", "cron": "0 6 * * 1", "request": work}
        sent = {"/api/jobs": work, "/api/jobs/batch": {"jobs": [work]}, "/api/schedules": timed}
        answers = [ask(world, "POST", path, OTHER, json=body) for path, body in sent.items()]
        assert {answer.status_code for answer in answers} <= {422}, [answer.text for answer in answers]
        return [told(answer) for answer in answers]

    assert str(refusals(theirs)).replace(theirs, none) == str(refusals(none))
    assert world.rows(OURS) == before


def test_a_course_id_of_others_is_ones_own(world: World) -> None:
    course_id = first(world, "course", "private")["course_id"]
    before = world.rows(OURS)
    wish = {"jobType": "course", "payload": {**BODIES["job"]["payload"], "courseId": course_id}}
    made = ask(world, "POST", "/api/jobs", OTHER, json=wish)
    assert made.status_code == 202, "nobody learns that others have a course of that id"
    assert ask(world, "GET", f"/api/courses/{course_id}", OTHER).status_code == 404
    assert world.rows(OURS) == before


def test_a_webhook_and_a_delivery_of_two_owners_are_not_a_pair(world: World) -> None:
    ours, before = first(world, "delivery"), world.rows(OURS)
    hook = ask(world, "POST", "/api/webhooks", OTHER, json=BODIES["webhook"]).get_json()["webhookId"]
    delivery = ask(world, "POST", f"/api/webhooks/{hook}/test", OTHER).get_json()["deliveryId"]
    for pair in ((hook, ours["delivery_id"]), (ours["webhook_id"], delivery)):
        path = f"/api/webhooks/{pair[0]}/deliveries/{pair[1]}/redeliver"
        assert ask(world, "POST", path, OTHER).status_code == 404
    assert world.rows(OURS) == before


def test_whether_something_is_there_shows_in_no_statement(world: World) -> None:
    """What takes another way takes another time: the same is asked of the database, if others have it or nobody."""
    for line in NAMED:
        if line.method == "GET" and "debug" not in line.rule:
            person = world.people[OTHER]
            asked = [
                statements(world.web.db, world, Cell(line, "GET", person, thing))
                for thing in (world.known[str(line.kind)][0], world.gone[str(line.kind)])
            ]
            assert asked[0] == asked[1] != [], line.name


def statements(db: Database, world: World, cell: Cell) -> list[str]:
    """What is sent to the database for a request."""
    seen: list[str] = []

    def see(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", see)
    try:
        world.ask(cell)
    finally:
        event.remove(db.engine, "before_cursor_execute", see)
    return seen


# --- passes for streams -----------------------------------------------------------------------------------------------


def test_a_pass_ends_with_the_membership_it_rests_on(world: World) -> None:
    job_id = first(world, "job")["job_id"]
    member = {**world.people["member"].headers}
    job = world.client.get(f"/api/jobs/{job_id}", headers=member)
    assert job.status_code == 200
    started = world.client.post("/api/jobs", headers=member, json=BODIES["job"]).get_json()
    url = f"{started['streamUrl']}&lastEventId=999"
    assert world.client.get(url).status_code == 501, "it is let in, and this server can't stream"
    ended = "UPDATE memberships SET ended_at = {} WHERE user_id = 'member@example.org'"
    change(world.deps, ended.format("now()"))
    try:
        refused = world.client.get(url)
        assert (refused.status_code, refused.get_json()["code"]) == (401, "stream_token_expired")
    finally:
        change(world.deps, ended.format("NULL"))


# --- bodies -----------------------------------------------------------------------------------------------------------

WRITES = [line for line in LINES if line.sends]


@pytest.mark.parametrize(
    "key", ["organizationId", "organization_id", "createdBy", "status", "id", "__proto__", "role_"]
)
@pytest.mark.parametrize("line", WRITES, ids=lambda line: line.name)
def test_nothing_is_set_that_is_not_asked_for(world: World, line: Line, key: str) -> None:
    assert line.sends is not None
    body = {**filled(world, line), key: str(world.theirs)}
    answer = world_post(world, line, body)
    previewed = line.rule.endswith("/preview")
    assert answer.status_code == (200 if previewed else 422), f"{answer.status_code} {answer.text[:200]}"
    assert key in {fault["path"] for fault in answer.get_json()["problems" if previewed else "errors"]}


@pytest.mark.parametrize("value", [None, True, -1, 1e400, [], [[]], {}, {"$ne": None}, "\u0000"], ids=str)
@pytest.mark.parametrize("line", WRITES, ids=lambda line: line.name)
def test_a_value_of_another_kind_is_refused_or_means_what_it_says(world: World, line: Line, value: Any) -> None:
    body = filled(world, line)
    for key in (None, *body):
        sent = value if key is None else {**body, key: value}
        raw = json.dumps(sent).encode()
        answer = world_post(world, line, None, data=raw, content_type="application/json")
        assert answer.status_code < 500, f"{key}: {answer.text[:200]}"


def filled(world: World, line: Line) -> dict[str, Any]:
    body = deepcopy(BODIES[str(line.sends)])
    names = first(world, line.kind) if line.kind else {}
    return {
        key: value.format(**names, new=new_id().hex) if isinstance(value, str) else value for key, value in body.items()
    }


def world_post(world: World, line: Line, body: Any, **more: Any) -> TestResponse:
    path = line.rule
    for argument, value in (first(world, line.kind) if line.kind else {}).items():
        path = path.replace(f"<{argument}>", value).replace(f"<path:{argument}>", value)
    return ask(world, line.method, path, **({"json": body} if body is not None else {}), **more)

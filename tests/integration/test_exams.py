"""Exams through the API: made, shown, replaced, archived, and read from files; all of it is kept or nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from schema.errors import Conflict, Invalid
from schema.exam_request import load_new_exam
from schema.job import load_new_job
from storage import exams
from tasks.commands import Asker, start_job
from tasks.deps import Deps
from tasks.exams import archive_exam, make_exam
from tests.integration.signed_in import sign_in
from tests.integration.stage import at_once, change, one, put_job, school, together
from web.app import create_app
from web.openapi import FieldErrorSchema

REPOSITORY = Path(__file__).parents[2]
CIVICS: dict[str, Any] = json.loads((REPOSITORY / "tests/data/civics.json").read_text("utf-8"))
GIFT = (REPOSITORY / "docs/examples/civics.gift").read_bytes()
PLANTS = {
    "title": "Plants",
    "questions": [
        {"text": "What do leaves take in?", "options": ["Light", "Sand", "Salt"], "answer": "A", "tags": ["leaves"]},
        {"text": "How many legs has an oak?", "answer": 0, "explanation": "It stands on its roots."},
        {"text": "Name a tree.", "answer": ["oak", "elm"]},
    ],
}
Ask = Callable[..., Any]


def headers(deps: Deps, asker: Asker) -> dict[str, str]:
    return {
        "X-Agent-Token": str(deps.settings.agent_token),
        "X-Organization-Id": str(asker.organization_id),
        **({"X-User-Id": asker.user} if asker.user else {}),
    }


@pytest.fixture
def ask(client: FlaskClient, deps: Deps, asker: Asker) -> Ask:
    """Sends a request to ``/api/exams`` and below; returns the answer."""

    def send(method: str, path: str = "", by: Asker = asker, **more: Any) -> Any:
        return client.open(f"/api/exams{path}", method=method, headers=headers(deps, by), **more)

    return send


@pytest.fixture
def plants(ask: Ask) -> dict[str, Any]:
    """An exam that is there."""
    answer = ask("POST", json=PLANTS)
    assert answer.status_code == 201, answer.text
    exam: dict[str, Any] = answer.get_json()["exam"]
    assert answer.headers["Location"] == f"/api/exams/{exam['id']}"
    return exam


def paths(answer: Any) -> dict[str, str]:
    assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid"), answer.text
    return {fault["path"]: fault["code"] for fault in answer.get_json()["errors"]}


def nothing_kept(deps: Deps) -> bool:
    return (one(deps, "SELECT count(*) FROM exams"), one(deps, "SELECT count(*) FROM exam_questions")) == (0, 0)


def test_an_exam_is_made_and_shown_as_it_was_sent(ask: Ask, plants: dict[str, Any], asker: Asker) -> None:
    assert plants["questions"] == [
        {
            "id": "q1",
            "text": "What do leaves take in?",
            "options": ["Light", "Sand", "Salt"],
            "answers": ["Light"],
            "explanation": "",
            "tags": ["leaves"],
        },
        {
            "id": "q2",
            "text": "How many legs has an oak?",
            "options": None,
            "answers": ["0"],
            "explanation": "It stands on its roots.",
            "tags": [],
        },
        {
            "id": "q3",
            "text": "Name a tree.",
            "options": None,
            "answers": ["oak", "elm"],
            "explanation": "",
            "tags": [],
        },
    ]
    assert (plants["language"], plants["revision"], plants["questionCount"]) == ("en", 1, 3)
    assert plants["createdBy"] == asker.user
    shown = ask("GET", f"/{plants['id']}")
    assert shown.get_json() == {"exam": plants}
    assert ask("GET", f"/{plants['id'].upper()}").status_code == 200


def test_an_etag_saves_sending_it_again(client: FlaskClient, deps: Deps, asker: Asker, plants: dict[str, Any]) -> None:
    path = f"/api/exams/{plants['id']}"
    tag = client.get(path, headers=headers(deps, asker)).headers["ETag"]
    assert client.get(path, headers={**headers(deps, asker), "If-None-Match": tag}).status_code == 304


def test_the_list_is_newest_first_and_without_questions(ask: Ask) -> None:
    titles = ["First", "Second", "Third"]
    for title in titles:
        assert ask("POST", json={**PLANTS, "title": title, "context": "Woods."}).status_code == 201
    first = ask("GET", "?limit=2").get_json()
    rest = ask("GET", f"?limit=2&cursor={first['nextCursor']}").get_json()
    listed = first["exams"] + rest["exams"]
    assert [exam["title"] for exam in listed] == titles[::-1]
    assert rest["nextCursor"] is None
    assert not any({"questions", "context"} & set(exam) for exam in listed)
    assert paths(ask("GET", "?page=2")) == {"page": "unknown_field"}


class TestReplacing:
    def test_a_question_keeps_its_id_and_no_id_is_given_twice(self, ask: Ask, plants: dict[str, Any]) -> None:
        first, second, _ = plants["questions"]
        changed = {**second, "text": "How many legs has an elm?"}
        path = f"/{plants['id']}"
        body = {"baseRevision": 1, "title": "Trees", "questions": [{"text": "New?"}, changed, first]}
        answer = ask("PUT", path, json=body)
        assert answer.status_code == 200, answer.text
        exam = answer.get_json()["exam"]
        assert [(one["id"], one["text"]) for one in exam["questions"]] == [
            ("q4", "New?"),
            ("q2", "How many legs has an elm?"),
            ("q1", "What do leaves take in?"),
        ]
        assert (exam["title"], exam["revision"], exam["questionCount"]) == ("Trees", 2, 3)
        assert exam["questionsHash"] != plants["questionsHash"]
        last = ask("PUT", path, json={"title": "Trees", "questions": [{"text": "Newer?"}]}).get_json()["exam"]
        assert (last["questions"][0]["id"], last["revision"]) == ("q5", 3)

    def test_an_older_base_is_told_what_is_there(self, ask: Ask, plants: dict[str, Any]) -> None:
        path = f"/{plants['id']}"
        latest = ask("PUT", path, json=PLANTS | {"title": "Theirs"}).get_json()["exam"]
        refused = ask("PUT", path, json=PLANTS | {"title": "Ours", "baseRevision": 1})
        assert (refused.status_code, refused.get_json()["code"]) == (409, "conflict")
        assert refused.get_json()["details"]["latest"] == {"revision": 2, "exam": latest}
        assert ask("GET", path).get_json()["exam"] == latest

    def test_of_many_with_one_base_one_is_taken(
        self, deps: Deps, ask: Ask, asker: Asker, plants: dict[str, Any]
    ) -> None:
        app, path = create_app(), f"/api/exams/{plants['id']}"

        def save() -> int:
            body = PLANTS | {"baseRevision": 1}
            return app.test_client().put(path, json=body, headers=headers(deps, asker)).status_code

        assert sorted(at_once(6, save)) == [200, 409, 409, 409, 409, 409]
        assert ask("GET", f"/{plants['id']}").get_json()["exam"]["revision"] == 2

    def test_ids_of_others_and_the_same_twice_are_refused(self, ask: Ask, plants: dict[str, Any]) -> None:
        questions = [{"id": "q1", "text": "a"}, {"id": "q1", "text": "b"}, {"id": "q9", "text": "c"}]
        refused = ask("PUT", f"/{plants['id']}", json={"title": "t", "questions": questions})
        assert set(paths(refused)) == {"questions.1.id", "questions.2.id"}
        assert ask("GET", f"/{plants['id']}").get_json()["exam"] == plants
        assert paths(ask("POST", json={"title": "t", "questions": questions[:1]})) == {
            "questions.0.id": "invalid_value"
        }


class TestArchiving:
    def test_it_is_not_there_any_more_but_its_rows_are(self, deps: Deps, ask: Ask, plants: dict[str, Any]) -> None:
        assert ask("DELETE", f"/{plants['id']}").status_code == 204
        for method in ("GET", "PUT", "DELETE"):
            assert ask(method, f"/{plants['id']}", json=PLANTS).status_code == 404, method
        assert ask("GET").get_json()["exams"] == []
        assert one(deps, "SELECT count(*) FROM exam_questions") == 3

    def test_not_while_a_job_is_at_work_on_it(self, deps: Deps, ask: Ask, asker: Asker, plants: dict[str, Any]) -> None:
        job_id = put_job(deps, asker.organization_id, target=f"exam:{plants['id']}")
        refused = ask("DELETE", f"/{plants['id']}")
        assert (refused.status_code, refused.get_json()["code"]) == (409, "active_job_exists")
        assert refused.get_json()["details"] == {"jobId": str(job_id)}
        change(deps, "UPDATE jobs SET status = 'cancelled', due_at = NULL")
        assert ask("DELETE", f"/{plants['id']}").status_code == 204

    def test_of_a_job_and_an_archiving_at_once_one_is_refused(self, model_deps: Deps, asker: Asker) -> None:
        wanted = load_new_exam(PLANTS)
        for _ in range(4):
            exam_id = UUID(make_exam(model_deps, asker, wanted)["id"])
            job = load_new_job({"jobType": "exam_course", "payload": {"examId": str(exam_id)}})
            ended = together(
                [
                    lambda job=job: start_job(model_deps, asker, job),  # type: ignore[misc]
                    lambda exam_id=exam_id: archive_exam(model_deps, asker, exam_id),  # type: ignore[misc]
                ]
            )
            refused = [error for error in ended if isinstance(error, Exception)]
            codes = {"unknown_exam": isinstance(ended[0], Invalid), "active_job_exists": isinstance(ended[1], Conflict)}
            assert len(refused) == 1 and any(codes.values()), ended


class TestWalls:
    def test_another_organizations_exam_is_not_there(self, deps: Deps, ask: Ask, plants: dict[str, Any]) -> None:
        stranger = school(deps)
        for method in ("GET", "PUT", "DELETE"):
            assert ask(method, f"/{plants['id']}", by=stranger, json=PLANTS).status_code == 404, method
        assert ask("GET", by=stranger).get_json()["exams"] == []
        assert exams.read(deps.db, stranger.organization_id, UUID(plants["id"])) is None

    @pytest.mark.parametrize("unknown", ["nonsense", "1", "00000000-0000-4000-8000-00000000dead"])
    def test_what_is_not_there(self, ask: Ask, unknown: str) -> None:
        assert ask("GET", f"/{unknown}").status_code == 404

    def test_a_viewer_reads_and_does_not_write(self, deps: Deps, asker: Asker, plants: dict[str, Any]) -> None:
        with create_app().test_client() as browser:
            same_site = sign_in(browser, deps, asker.organization_id, "viewer")
            assert browser.get(f"/api/exams/{plants['id']}").status_code == 200
            for method, path in (("POST", ""), ("POST", "/preview"), ("PUT", f"/{plants['id']}"), ("DELETE", "/x")):
                answer = browser.open(f"/api/exams{path}", method=method, json=PLANTS, headers=same_site)
                assert (answer.status_code, answer.get_json()["code"]) == (403, "forbidden"), (method, path)


class TestFiles:
    def test_a_gift_file_is_the_same_exam_as_its_json(self, deps: Deps, ask: Ask) -> None:
        by_json = ask("POST", json=CIVICS).get_json()["exam"]
        sent = ask("POST", "?format=gift&title=Civics", data=GIFT, content_type="text/plain")
        assert sent.status_code == 201, sent.text
        by_file = sent.get_json()["exam"]
        assert by_file["questions"] == by_json["questions"] and by_file["questionCount"] == 100
        assert by_file["questionsHash"] == by_json["questionsHash"]
        assert [note["message"] for note in sent.get_json()["notes"]] == ["Has no answer."] * 4

    @pytest.mark.parametrize(
        ("name", "more"), [("civics.gift", {}), ("civics.txt", {}), ("civics", {"format": "gift"})]
    )
    def test_a_browser_sends_a_form(self, ask: Ask, name: str, more: dict[str, str]) -> None:
        form = {
            "title": "Civics",
            "subject": "Civics",
            "gradeBand": "Adults",
            "language": "",
            **more,
            "file": (io.BytesIO(GIFT), name),
        }
        made = ask("POST", data=form)
        assert made.status_code == 201, made.text
        exam = made.get_json()["exam"]
        assert (exam["subject"], exam["gradeBand"], exam["questionCount"]) == ("Civics", "Adults", 100)

    def test_csv_and_json_in_a_form(self, ask: Ask) -> None:
        table = "question;options;answer\nWhat do leaves take in?;Light|Sand|Salt;A\n".encode("utf-8-sig")
        made = ask("POST", data={"title": "Plants", "file": (io.BytesIO(table), "plants.CSV")}).get_json()["exam"]
        assert made["questions"][0]["answers"] == ["Light"]
        whole = json.dumps(PLANTS).encode()
        made = ask("POST", data={"file": (io.BytesIO(whole), "plants.json")}).get_json()["exam"]
        assert (made["title"], made["questionCount"]) == ("Plants", 3)
        bare = json.dumps(PLANTS["questions"]).encode()
        made = ask("POST", data={"title": "Bare", "file": (io.BytesIO(bare), "plants.json")}).get_json()["exam"]
        assert (made["title"], made["questionCount"]) == ("Bare", 3)

    def test_the_type_of_the_body_says_that_it_is_csv(self, ask: Ask) -> None:
        made = ask("POST", "?title=Plants", data="question;answer\nWhy?;so\n", content_type="text/csv; charset=utf-8")
        assert made.status_code == 201, made.text
        assert made.get_json()["exam"]["questions"][0]["answers"] == ["so"]

    def test_one_fault_in_a_file_keeps_all_of_it_out(self, deps: Deps, ask: Ask) -> None:
        refused = ask("POST", "?format=csv&title=t", data="question,answer\nWhy?,so\n,gap\nWhy not?,a,b\n")
        assert paths(refused) == {"questions.1.text": "invalid_value", "file": "invalid_value"}
        assert [fault["line"] for fault in refused.get_json()["errors"]] == [3, 4]
        assert FieldErrorSchema(many=True).validate(refused.get_json()["errors"]) == {}
        assert "Line 3, column 'question'" in refused.get_json()["errors"][0]["message"]
        assert nothing_kept(deps)

    def test_a_title_that_is_missing_is_told_beside_the_faults_of_the_file(self, deps: Deps, ask: Ask) -> None:
        assert paths(ask("POST", "?format=gift", data="Who?{")) == {"file": "invalid_value", "title": "required"}
        assert nothing_kept(deps)

    def test_what_is_no_file_and_no_json(self, deps: Deps, ask: Ask) -> None:
        assert paths(ask("POST", "?format=xlsx", data=b"PK")) == {"format": "invalid_value"}
        urlencoded = "application/x-www-form-urlencoded"  # as curl sends it unless told
        refused = ask("POST", "?format=csv&title=t", data="question\n\n+%41\n\x01", content_type=urlencoded)
        assert paths(refused) == {"questions.1.text": "invalid_value"}
        untold = ask("POST", "?title=t", data="Who?{=Ada}", content_type="text/plain")
        assert paths(untold) == {"format": "required"}
        assert paths(ask("POST", "?format=csv&colour=red", data="question\n")) == {"colour": "unknown_field"}
        assert paths(ask("POST", data={"title": "t", "colour": "red"}, content_type="multipart/form-data")) == {
            "colour": "unknown_field",
            "file": "required",
            "format": "required",
        }
        two = {"file": [(io.BytesIO(b"question\n"), "a.csv"), (io.BytesIO(b"question\n"), "b.csv")]}
        assert "file" in paths(ask("POST", data=two))
        assert paths(ask("POST", data={"file": (io.BytesIO(b"x"), "exam.docx")})) == {"format": "required"}
        assert ask("POST", data="question,answer").get_json()["code"] == "not_json"
        assert ask("POST", data={"file": (io.BytesIO(b"{"), "a.json")}).get_json()["code"] == "malformed_json"
        assert ask("POST", data={"file": (io.BytesIO(b"3"), "a.json")}).status_code == 422
        assert ask("POST", "?format=csv&title=t", data=b"x" * 1_100_000).status_code == 413
        assert nothing_kept(deps)

    def test_a_preview_shows_what_would_be_kept_and_keeps_nothing(self, deps: Deps, ask: Ask) -> None:
        text = "Read this.\n\nWho?{=Ada}\n\nWhat?{#x}\n\nHow?{=so =%50%thus}\n"
        seen = ask("POST", "/preview?format=gift", data=text).get_json()
        assert [question["text"] for question in seen["questions"]] == ["Who?", "How?"]
        assert [question["id"] for question in seen["questions"]] == ["q1", "q2"]
        assert seen["context"] == "Read this."
        assert [(one["path"], one["line"]) for one in seen["problems"]] == [("file", 5)]
        assert [note["line"] for note in seen["notes"]] == [1, 7]
        plain = ask("POST", "/preview", json={"questions": PLANTS["questions"]}).get_json()
        assert (len(plain["questions"]), plain["problems"], plain["notes"]) == (3, [], [])
        faulty = ask("POST", "/preview", json={"questions": [{"text": ""}]}).get_json()
        assert [one["path"] for one in faulty["problems"]] == ["questions.0.text"]
        assert ask("POST", "/preview", data="{", content_type="application/json").status_code == 400
        assert nothing_kept(deps)


def test_every_faulty_field_is_named_and_nothing_kept(deps: Deps, ask: Ask) -> None:
    questions = [
        {"text": "Which?", "options": ["a", "b"], "answer": "c"},
        {"text": "Which?", "options": ["same", " same"]},
        {"text": " ", "tags": [""], "colour": "red"},
        {"text": "x" * 2001, "answer": True},
        {"text": "Why?"},
        {"text": "why"},
    ]
    refused = ask("POST", json={"title": "a\nb", "language": "english!", "context": 3, "questions": questions})
    assert {
        "title",
        "language",
        "context",
        "questions.0.answer",
        "questions.1.options.1",
        "questions.2.text",
        "questions.2.tags.0",
        "questions.2.colour",
        "questions.3.text",
        "questions.3.answer",
    } <= set(paths(refused))
    assert paths(ask("POST", json={"title": "t", "questions": questions[4:]})) == {
        "questions.1.text": "duplicate_question"
    }
    assert paths(ask("POST", json={"title": "t", "questions": []})) == {"questions": "invalid_value"}
    assert nothing_kept(deps)


def test_a_thousand_questions_are_taken_and_no_more(ask: Ask) -> None:
    questions = [{"text": f"What is {number} squared?", "answer": number * number} for number in range(1001)]
    assert paths(ask("POST", json={"title": "Squares", "questions": questions})) == {"questions": "invalid_value"}
    made = ask("POST", json={"title": "Squares", "questions": questions[:1000]})
    assert made.status_code == 201
    assert [one["id"] for one in made.get_json()["exam"]["questions"]] == [f"q{number}" for number in range(1, 1001)]

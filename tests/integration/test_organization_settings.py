"""What an organization chooses: kept through the API, and carried out by its jobs."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from schema.clock import new_id
from storage import organization_settings
from tasks import once
from tasks.clients.budget import Budgets
from tasks.commands import Asker
from tasks.deps import Deps
from tests.fakes.model_server import ModelServer
from tests.integration.signed_in import sign_in
from tests.integration.stage import at_once, change, job, one, rows, school, start
from tests.integration.test_course_job import FISH, course_of
from web.app import create_app

DEFAULTS = {
    "textModel": None,
    "imageModel": None,
    "models": {
        "plan": None,
        "items": None,
        "studyText": None,
        "repair": None,
        "verify": None,
        "topics": None,
        "lessons": None,
    },
    "verifyKeys": True,
    "requireReview": False,
    "language": "en",
    "dailyBudgetUsd": None,
    "notifyEmails": [],
    "notifyOn": ["completed", "failed", "dead_letter"],
}


def headers(deps: Deps, asker: Asker) -> dict[str, str]:
    return {"X-Agent-Token": str(deps.settings.agent_token), "X-Organization-Id": str(asker.organization_id)}


def choose(deps: Deps, asker: Asker, **chosen: Any) -> None:
    with deps.db.transaction() as tx:
        assert organization_settings.save(tx, asker.organization_id, chosen, asker.user, None)


class TestKeeping:
    def test_defaults_until_something_is_chosen(self, deps: Deps, asker: Asker, client: FlaskClient) -> None:
        answer = client.get("/api/settings", headers=headers(deps, asker))
        assert answer.get_json() == {"settings": DEFAULTS, "revision": 0}

    def test_the_whole_set_is_chosen_at_once(self, deps: Deps, asker: Asker, client: FlaskClient) -> None:
        ours = headers(deps, asker)
        chosen: dict[str, Any] = {"verify_keys": False, "require_review": True, "models": {"study_text": "gpt-4.1"}}
        chosen["notifyEmails"] = ["a@example.org"]
        answer = client.put("/api/settings", headers=ours, json={"settings": chosen})
        models = {**DEFAULTS["models"], "studyText": "gpt-4.1"}
        expected = DEFAULTS | {"verifyKeys": False, "requireReview": True, "models": models}
        expected |= {"notifyEmails": ["a@example.org"]}
        assert (answer.status_code, answer.get_json()) == (200, {"settings": expected, "revision": 1})
        assert client.get("/api/settings", headers=ours).get_json() == answer.get_json()
        back = client.put("/api/settings", headers=ours, json={"settings": {"language": "de", "verifyKeys": None}})
        assert back.get_json() == {"settings": DEFAULTS | {"language": "de"}, "revision": 2}
        other = client.get("/api/settings", headers=headers(deps, school(deps)))
        assert other.get_json() == {"settings": DEFAULTS, "revision": 0}

    def test_what_is_shown_can_be_sent_back(self, deps: Deps, asker: Asker, client: FlaskClient) -> None:
        shown = client.get("/api/settings", headers=headers(deps, asker)).get_json()["settings"]
        again = client.put("/api/settings", headers=headers(deps, asker), json={"settings": shown, "baseRevision": 0})
        assert again.get_json() == {"settings": DEFAULTS, "revision": 1}

    def test_an_older_base_is_told_what_holds(self, deps: Deps, asker: Asker, client: FlaskClient) -> None:
        ours = headers(deps, asker)
        assert client.put("/api/settings", headers=ours, json={"settings": {"language": "fr"}}).status_code == 200
        for base in (0, 2):
            late = {"settings": {"language": "de"}, "baseRevision": base}
            refused = client.put("/api/settings", headers=ours, json=late)
            assert (refused.status_code, refused.get_json()["code"]) == (409, "conflict")
            latest = {"revision": 1, "settings": DEFAULTS | {"language": "fr"}}
            assert refused.get_json()["details"]["latest"] == latest

    def test_of_many_that_choose_first_one_does(self, deps: Deps, asker: Asker) -> None:
        app = create_app()

        def put() -> int:
            body = {"settings": {"language": "de"}, "baseRevision": 0}
            return app.test_client().put("/api/settings", headers=headers(deps, asker), json=body).status_code

        assert sorted(at_once(5, put)) == [200, 409, 409, 409, 409]

    def test_every_faulty_field_is_named_and_nothing_chosen(
        self, deps: Deps, asker: Asker, client: FlaskClient
    ) -> None:
        faulty = {
            "textModel": "two words",
            "models": {"plan": "", "poems": "x"},
            "verifyKeys": 1,
            "requireReview": "yes",
            "language": "english",
            "dailyBudgetUsd": -1,
            "notifyEmails": ["nobody", "a@example.org\r\nBcc: b@example.org"],
            "notifyOn": ["done"],
        }
        answer = client.put("/api/settings", headers=headers(deps, asker), json={"settings": faulty, "extra": 1})
        assert {fault["path"] for fault in answer.get_json()["errors"]} == {
            "settings.textModel",
            "settings.models.plan",
            "settings.models.poems",
            "settings.verifyKeys",
            "settings.requireReview",
            "settings.language",
            "settings.dailyBudgetUsd",
            "settings.notifyEmails.0",
            "settings.notifyEmails.1",
            "settings.notifyOn.0",
            "extra",
        }
        assert rows(deps, "SELECT * FROM organization_settings") == []

    def test_only_an_admin_chooses(self, deps: Deps, asker: Asker, client: FlaskClient) -> None:
        ours = sign_in(client, deps, asker.organization_id, "author")
        assert client.get("/api/settings").status_code == 200
        refused = client.put("/api/settings", json={"settings": {}}, headers=ours)
        assert refused.status_code == 403

    def test_a_budget_needs_prices(self, deps: Deps, asker: Asker, client: FlaskClient) -> None:
        ours = headers(deps, asker)
        priced = {"dailyBudgetUsd": 5, "textModel": "gpt-4.1"}
        assert client.put("/api/settings", headers=ours, json={"settings": priced}).status_code == 200
        for more in ({"textModel": "llama"}, {"models": {"verify": "llama"}}):
            answer = client.put("/api/settings", headers=ours, json={"settings": priced | more})
            [fault] = answer.get_json()["errors"]
            assert (fault["path"], fault["code"]) == ("settings.dailyBudgetUsd", "price_unknown")
            assert "llama" in fault["message"]


@pytest.mark.usefixtures("empty_store")
class TestCarryingOut:
    def test_each_purpose_asks_its_model(self, model_deps: Deps, asker: Asker, model: ModelServer) -> None:
        models = {"plan": "planner", "verify": "judge", "items": "writer"}
        choose(model_deps, asker, textModel="usual", imageModel="painter", models=models)
        job_id = start(model_deps, asker, **FISH | {"generateStudyTextImages": True})
        once.run_due(model_deps)
        assert job(model_deps, job_id).status == "done"
        asked = {row.purpose: row.model for row in rows(model_deps, "SELECT purpose, model FROM model_calls")}
        assert asked.pop("picture") == "painter"
        assert asked == {"plan": "planner", "items": "writer", "verify": "judge", "study_text": "usual"}
        assert course_of(model_deps, job_id).content["provenance"]["model"] == "writer"

    def test_keys_are_not_verified_where_nobody_wants_it(
        self, model_deps: Deps, asker: Asker, model: ModelServer
    ) -> None:
        choose(model_deps, asker, verifyKeys=False)
        job_id = start(model_deps, asker, **FISH)
        once.run_due(model_deps)
        assert job(model_deps, job_id).status == "done"
        assert one(model_deps, "SELECT count(*) FROM model_calls WHERE purpose = 'verify'") == 0
        assert course_of(model_deps, job_id).content["provenance"]["verified"] is False

    def test_a_request_without_a_language_has_the_organizations(self, deps: Deps, asker: Asker) -> None:
        before = start(deps, asker, courseId="sums")
        choose(deps, asker, language="en-GB")
        assert start(deps, asker, courseId="sums") == before, "the same request, whatever was chosen meanwhile"
        change(deps, "UPDATE jobs SET status = 'cancelled', due_at = NULL")
        after, named = start(deps, asker, courseId="sums-2"), start(deps, asker, courseId="sums-3", language="en")
        languages = "SELECT payload ->> 'language' FROM job_payloads WHERE job_id = :job"
        assert [one(deps, languages, job=job_id) for job_id in (before, after, named)] == ["en", "en-GB", "en"]

    def test_a_spent_budget_stops_calls_until_tomorrow(
        self, model_deps: Deps, asker: Asker, model: ModelServer
    ) -> None:
        spend = """INSERT INTO model_calls (id, organization_id, purpose, model, seconds, outcome, cost_usd, created_at)
          VALUES (:id, :org, 'plan', 'm', 1, 'ok', :cost, {})"""
        today, yesterday = "clock_timestamp()", "date_trunc('day', clock_timestamp(), 'UTC') - interval '1 second'"
        change(model_deps, spend.format(yesterday), id=new_id(), org=asker.organization_id, cost=100)
        change(model_deps, spend.format(today), id=new_id(), org=school(model_deps).organization_id, cost=100)
        change(model_deps, spend.format(today), id=new_id(), org=asker.organization_id, cost=1)
        purged = """INSERT INTO daily_stats
            (organization_id, day, kind, name, outcome, count, seconds, durations, cost_usd)
          VALUES (:org, CAST(clock_timestamp() AT TIME ZONE 'UTC' AS date) - CAST(:days AS integer), 'call', 'm', 'ok',
            1, 1, '{}', :cost)"""
        change(model_deps, purged, org=asker.organization_id, days=0, cost=1)
        change(model_deps, purged, org=asker.organization_id, days=1, cost=100)
        choose(model_deps, asker, dailyBudgetUsd=2.5)
        Budgets(model_deps.db).check(asker.organization_id)  # raises nothing: half a dollar is left

        change(model_deps, spend.format(today), id=new_id(), org=asker.organization_id, cost=0.5)
        job_id = start(model_deps, asker, **FISH)
        once.run_due(model_deps)
        failed = job(model_deps, job_id)
        assert (failed.status, failed.error["code"]) == ("failed", "budget_spent")
        assert "$2.50 of $2.50" in failed.error["message"]
        assert model.calls() == []

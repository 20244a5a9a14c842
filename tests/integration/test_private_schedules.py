"""A schedule says what is asked for. Of a private course it is there for those who see the course, and nobody else."""

from __future__ import annotations

from uuid import UUID

from flask.testing import FlaskClient

from schema.settings import DEMO_ORGANIZATION_ID
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.schedules import make
from tests.integration.signed_in import sign_in
from tests.integration.stage import request
from tests.integration.test_private_courses import keep

ORG = UUID(DEMO_ORGANIZATION_ID)


def scheduled(deps: Deps, asker: Asker, name: str, **asked: str) -> str:
    given = {"name": name, "cron": "0 3 * * *", "timeZone": "UTC", "request": request(**asked), "paused": False}
    return str(make(deps, asker, given)["scheduleId"])


def test_viewers_see_no_schedule_of_a_private_course(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    made = {
        "plain": scheduled(deps, asker, "plain", visibility="org"),
        "hidden": scheduled(deps, asker, "hidden", visibility="private"),
        "turned": scheduled(deps, asker, "turned", visibility="org", courseId="turned"),
    }
    keep(deps, "turned", "private")
    for role, seen in (("viewer", ["plain"]), ("author", ["turned", "hidden", "plain"])):
        sign_in(client, deps, ORG, role)  # type: ignore[arg-type]
        listed = client.get("/api/schedules").get_json()["schedules"]
        assert [one["name"] for one in listed] == seen
        for name, schedule_id in made.items():
            assert client.get(f"/api/schedules/{schedule_id}").status_code == (200 if name in seen else 404)

"""The API is as its own description says, for everybody: schemathesis, in a bounded form. ``make fuzz`` is the long
one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import urllib3

from tests.access.fuzzing import examine
from tests.access.people import Crowd
from tests.access.things import Things, fixed
from tests.access.world import OURS, SETTINGS
from tests.conftest import Databases, Servers, use
from tests.integration.stage import school
from tests.integration.web_process import Web, serving

#: As whom, and of what: everything once in the most telling ways, by somebody who may do some of it at least. Nobody
#: asks for everything that they may not: that is what the matrix is for.
RUNS: dict[str, tuple[str, ...]] = {
    "anonymous": ("catalog", "docs", "public_catalog", "public_content", "system"),
    "viewer": ("content", "courses", "partial", "settings"),
    "author": ("exams", "generation", "jobs", "older_stream", "stream"),
    "admin": ("reviews", "session", "tokens", "webhooks"),
    "agent": ("admin", "audit", "dead_letters", "debug_files", "members", "statistics"),
    "other organization": ("batches", "schedules"),
}


@pytest.fixture(scope="module")
def web(servers: Servers, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    calm = {**SETTINGS, "LOG_LEVEL": "ERROR"}
    with serving(servers, databases, tmp_path_factory.mktemp("web"), **calm) as made:
        yield made


@pytest.fixture(scope="module")
def people(web: Web) -> dict[str, Mapping[str, str]]:
    """Everybody's headers. Two organizations have something of each kind."""
    use(web.deps)
    ours, theirs = Things(web.deps, OURS, "demo-school"), Things(web.deps, school(web.deps).organization_id, "another")
    fixed(ours)
    fixed(theirs)
    token = web.deps.settings.agent_token or ""
    crowd = Crowd(web.deps, ours, token)
    named = {role: crowd.user(role).headers for role in ("viewer", "author", "admin")}
    others = Crowd(web.deps, theirs, token).user("admin").headers
    return {"anonymous": {}, **named, "agent": crowd.agent().headers, "other organization": others}


def test_everything_is_asked_for(web: Web) -> None:
    document = urllib3.request("GET", f"{web.url}/api/openapi.json", headers={"Connection": "close"}).json()
    tags = {tag for item in document["paths"].values() for operation in item.values() for tag in operation["tags"]}
    assert tags == {tag for asked in RUNS.values() for tag in asked}


@pytest.mark.parametrize("name", RUNS)
def test_it_does_as_it_says(web: Web, people: dict[str, Mapping[str, str]], name: str) -> None:
    found = examine(web.url, people[name], tags=RUNS[name], phases=("coverage",))
    assert found.faults == {}, str(found)
    assert found.requests > 10 * len(found.operations) > len(RUNS[name]), "or this would prove nothing"

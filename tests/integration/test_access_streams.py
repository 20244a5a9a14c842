"""The matrix's cells that only a real server can answer: who may follow what, over open connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from uuid import UUID

import pytest

from tests.access.people import Crowd
from tests.access.things import Things
from tests.access.world import OURS, SETTINGS
from tests.conftest import Databases, Servers
from tests.integration.stage import put_job, school
from tests.integration.web_process import Web, serving

NOBODY: Mapping[str, str] = {}


@pytest.fixture(scope="module")
def web(servers: Servers, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with serving(servers, databases, tmp_path_factory.mktemp("web"), **SETTINGS) as made:
        yield made


@pytest.fixture(scope="module")
def crowds(web: Web) -> tuple[Crowd, Crowd]:
    """Everybody of ours, and of another organization."""
    theirs = Things(web.deps, school(web.deps).organization_id, "another")
    token = web.deps.settings.agent_token or ""
    return Crowd(web.deps, Things(web.deps, OURS, "demo-school"), token), Crowd(web.deps, theirs, token)


def status(web: Web, path: str, headers: Mapping[str, str]) -> int:
    """That of the answer's head. What is open is closed."""
    with web.listen(path, dict(headers)) as listener:
        return listener.status


@pytest.mark.parametrize("path", ["/api/jobs/{job}/stream", "/api/generation/stream/{job}"])
def test_a_job_is_followed_by_those_who_see_it(web: Web, crowds: tuple[Crowd, Crowd], path: str) -> None:
    ours, theirs = crowds
    job, other = put_job(web.deps, OURS), put_job(web.deps, OURS)
    private = UUID(ours.things.make("job", "private", "pending").names["job_id"])
    at = path.format(job=job)
    assert status(web, at, NOBODY) == 401
    assert {status(web, at, ours.user(role).headers) for role in ("viewer", "author", "admin")} == {200}
    assert status(web, at, ours.agent().headers) == 200
    assert status(web, at, theirs.user("admin").headers) == 404
    assert status(web, at, theirs.agent().headers) == 404
    assert status(web, path.format(job=private), ours.user("viewer").headers) == 404
    assert status(web, path.format(job=private), ours.user("author").headers) == 200
    good, another = (ours.holder("somebody", str(which)).pass_token for which in (job, other))
    of_theirs = theirs.holder("somebody", str(job)).pass_token
    assert status(web, f"{at}?token={good}", NOBODY) == 200
    assert status(web, f"{at}?token={another}", ours.agent().headers) == 401, "a token that is given decides"
    assert status(web, f"{at}?token={of_theirs}", NOBODY) == 404, "a job is only its organization's"
    assert status(web, f"/api/catalog/stream?token={good}", NOBODY) == 401
    assert status(web, f"/api/jobs/{job}/events?token={good}", NOBODY) == 401


def test_a_catalog_is_followed_by_its_organization(web: Web, crowds: tuple[Crowd, Crowd]) -> None:
    ours, theirs = crowds
    with (
        web.listen("/api/catalog/stream", dict(ours.user("viewer").headers)) as viewer,
        web.listen("/api/catalog/stream", dict(theirs.user("admin").headers)) as stranger,
    ):
        assert (viewer.status, stranger.status) == (200, 200)
        made = [crowd.things.make("course", "org").names["course_id"] for crowd in (ours, theirs)]
        for listener, own in zip((viewer, stranger), made, strict=True):
            listener.until(lambda one: one.events)
            assert [event["courseId"] for event in listener.events] == [own], "the first they are told is their own"
    assert status(web, "/api/catalog/stream", NOBODY) == 401
    assert status(web, "/api/public/catalog/stream", NOBODY) == 200

"""A medium is everybody's for as long as a public course of its organization shows it that is listed, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, get_args
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import catalog, documents, media, reviews
from storage.catalog import Listing
from storage.db import Transaction
from storage.documents import Author
from storage.media import Asset
from tasks import once
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.listing import await_review, list_course
from tasks.reviews import approve
from tests import factories
from tests.integration.signed_in import sign_in
from tests.integration.stage import WATER, change, rows, school, start, together
from tests.integration.test_media import pictures
from tests.integration.test_organization_settings import choose
from web.app import create_app
from web.identity import Role
from web.wiring import deps as of_views

pytestmark = pytest.mark.usefixtures("empty_store")

LEAF, ROOT = "ab" * 32, "cd" * 32
TOKEN = {"X-Agent-Token": "agent-token-of-the-tests"}
#: Statuses for nobody, for another organization, for a viewer, for an author.
OPEN = (200, 200, 200, 200)


def draw(deps: Deps, whose: Asker, sha256: str, visibility: str = "public", course_id: str | None = "leaves") -> None:
    """A picture that was made for a course, which does not show it yet."""
    what = (1, 1, 1, visibility, "a leaf", "pack", None, course_id)
    asset = Asset(whose.organization_id, sha256, "png", "image/png", *what)
    deps.objects.put(deps.settings.s3.media_bucket, asset.key, b"x", "image/png", "no-store")
    with deps.db.transaction() as tx:
        media.keep(tx, asset)


def path_of(sha256: str) -> str:
    return f"/content/media/{sha256}.png"


def save(tx: Transaction, whose: Asker, course_id: str, visibility: str, shows: tuple[str, ...]) -> Listing:
    """A course's next revision, in no catalog yet."""
    at = documents.lock(tx, whose.organization_id, "course", course_id)
    texts = [factories.study_text(content="".join(f"![a leaf]({path_of(one)})\n\n" for one in shows))]
    content: Any = factories.course(id=course_id, contentVersion=f"v{at + 1}", visibility=visibility, studyTexts=texts)
    revision = documents.save(tx, whose.organization_id, "course", course_id, content, Author("app", None), "edited")
    return Listing(whose.organization_id, "demo-school", revision, content)


def show(deps: Deps, whose: Asker, course_id: str, visibility: str, *shows: str) -> None:
    """A course's next revision, in its catalogs, with these pictures."""
    with deps.db.transaction() as tx:
        list_course(deps.bus, tx, save(tx, whose, course_id, visibility, shows))


def take_out(deps: Deps, whose: Asker, course_id: str) -> None:
    with deps.db.transaction() as tx:
        documents.lock(tx, whose.organization_id, "course", course_id)
        catalog.unlist_course(tx, whose.organization_id, course_id)


def archive(deps: Deps, whose: Asker, course_id: str) -> None:
    archived = "UPDATE documents SET archived_at = clock_timestamp() WHERE organization_id = :org AND document_id = :id"
    assert change(deps, archived, org=whose.organization_id, id=course_id) == 1


def have_it_reviewed(deps: Deps, whose: Asker, course_id: str) -> None:
    with deps.db.transaction() as tx:
        revision = documents.lock(tx, whose.organization_id, "course", course_id)
        await_review(deps.bus, tx, whose.organization_id, course_id, revision)


def statuses(client: FlaskClient, deps: Deps, whose: Asker, sha256: str) -> tuple[int, ...]:
    """How ``/content/media`` answers nobody, another organization, a viewer, an author."""
    stranger = {**TOKEN, "X-Organization-Id": str(school(deps).organization_id)}
    found = [client.get(path_of(sha256)).status_code, client.get(path_of(sha256), headers=stranger).status_code]
    for role in get_args(Role)[:2]:
        with create_app().test_client() as theirs:
            sign_in(theirs, deps, whose.organization_id, role)
            found.append(theirs.get(path_of(sha256)).status_code)
    return tuple(found)


CLOSING: dict[str, tuple[Callable[[Deps, Asker], None], tuple[int, ...]]] = {
    "it becomes the organization's": (lambda deps, who: show(deps, who, "leaves", "org", LEAF), (401, 404, 200, 200)),
    "it becomes private": (lambda deps, who: show(deps, who, "leaves", "private", LEAF), (401, 404, 404, 200)),
    "it is taken out": (lambda deps, who: take_out(deps, who, "leaves"), (401, 404, 200, 200)),
    "it is archived": (lambda deps, who: archive(deps, who, "leaves"), (401, 404, 200, 200)),
    "it waits for a review": (lambda deps, who: have_it_reviewed(deps, who, "leaves"), (401, 404, 200, 200)),
    "it shows another": (lambda deps, who: show(deps, who, "leaves", "public", ROOT), (401, 404, 200, 200)),
}


@pytest.mark.parametrize("how", CLOSING)
def test_what_a_public_course_shows_no_more_is_closed(client: FlaskClient, deps: Deps, asker: Asker, how: str) -> None:
    close, closed = CLOSING[how]
    draw(deps, asker, LEAF)
    assert statuses(client, deps, asker, LEAF) == (401, 404, 200, 200), "no course shows it yet"
    show(deps, asker, "leaves", "public", LEAF)
    assert statuses(client, deps, asker, LEAF) == OPEN
    close(deps, asker)
    assert statuses(client, deps, asker, LEAF) == closed


def test_what_a_private_course_shows_no_more_stays_as_closed(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    draw(deps, asker, LEAF, "org")
    show(deps, asker, "leaves", "private", LEAF)
    assert statuses(client, deps, asker, LEAF) == (401, 404, 404, 200)
    show(deps, asker, "leaves", "private")
    assert statuses(client, deps, asker, LEAF) == (401, 404, 404, 200)
    show(deps, asker, "leaves", "org")
    assert statuses(client, deps, asker, LEAF) == (401, 404, 200, 200)


def test_another_public_course_keeps_it_open_and_one_that_is_not_does_not(
    client: FlaskClient, deps: Deps, asker: Asker
) -> None:
    draw(deps, asker, LEAF)
    for course_id, visibility in (("leaves", "public"), ("trees", "public"), ("woods", "org")):
        show(deps, asker, course_id, visibility, LEAF)
    show(deps, asker, "leaves", "private", LEAF)
    assert statuses(client, deps, asker, LEAF) == OPEN
    have_it_reviewed(deps, asker, "trees")
    assert statuses(client, deps, asker, LEAF) == (401, 404, 200, 200), "the course on woods is for viewers, too"
    approve(deps, asker, "trees", None)
    assert statuses(client, deps, asker, LEAF) == OPEN
    take_out(deps, asker, "trees")
    show(deps, asker, "woods", "private", LEAF)
    assert statuses(client, deps, asker, LEAF)[0] == 401


def test_a_revision_that_closes_its_course_closes_its_pictures_before_any_catalog_knows(
    client: FlaskClient, deps: Deps, asker: Asker
) -> None:
    draw(deps, asker, LEAF)
    show(deps, asker, "leaves", "public", LEAF)
    with pytest.raises(ZeroDivisionError), deps.db.transaction() as tx:
        save(tx, asker, "leaves", "org", (LEAF,))
        assert client.get(path_of(LEAF)).status_code == 200, "which is not so before it is committed"
        raise ZeroDivisionError
    assert client.get(path_of(LEAF)).status_code == 200
    with deps.db.transaction() as tx:
        listing = save(tx, asker, "leaves", "org", (LEAF,))
    assert client.get(path_of(LEAF)).status_code == 401
    with deps.db.transaction() as tx:
        list_course(deps.bus, tx, listing)
        opened = save(tx, asker, "leaves", "public", (LEAF,))
    assert client.get(path_of(LEAF)).status_code == 401, "its catalog says that it is not public"
    with deps.db.transaction() as tx:
        list_course(deps.bus, tx, opened)
    assert client.get(path_of(LEAF)).status_code == 200


def test_each_organization_opens_and_closes_its_own(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    other = school(deps)
    for whose in (asker, other):
        draw(deps, whose, LEAF)
        show(deps, whose, "leaves", "public", LEAF)
    show(deps, asker, "leaves", "private", LEAF)
    assert client.get(path_of(LEAF)).status_code == 200
    found = media.read(of_views().db, None, LEAF, "png")
    assert found is not None and found.organization_id == other.organization_id
    show(deps, other, "leaves", "private", LEAF)
    assert client.get(path_of(LEAF)).status_code == 401


def test_what_belongs_to_no_course_stays_as_it_was_made(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    for sha256, visibility, expected in ((LEAF, "public", OPEN), (ROOT, "private", (401, 404, 404, 200))):
        draw(deps, asker, sha256, visibility, course_id=None)
        assert statuses(client, deps, asker, sha256) == expected


def test_a_shared_cache_asks_again_and_learns_that_it_is_closed(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    draw(deps, asker, LEAF)
    show(deps, asker, "leaves", "public", LEAF)
    first = client.get(path_of(LEAF))
    assert first.cache_control.public and first.cache_control.s_maxage == 60
    # As the contract has it for who has the bytes, which never change.
    assert (first.cache_control.max_age, first.cache_control.immutable) == (31536000, True)
    known = {"If-None-Match": first.headers["ETag"]}
    again = client.get(path_of(LEAF), headers=known)
    assert (again.status_code, again.headers["Cache-Control"]) == (304, first.headers["Cache-Control"])
    show(deps, asker, "leaves", "org", LEAF)
    closed = client.get(path_of(LEAF), headers=known)
    assert (closed.status_code, closed.headers["Cache-Control"], closed.headers.get("ETag")) == (401, "no-store", None)
    mine = client.get(path_of(LEAF), headers={**TOKEN, "X-Organization-Id": str(asker.organization_id)})
    assert mine.headers["Cache-Control"] == "private, max-age=31536000, immutable"


def test_jobs_close_and_open_what_they_made(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    """A course is made anew with another visibility, and for an organization that wants to review it first."""
    wanted = {**WATER, "courseId": "water", "generateStudyTextImages": True}
    opened = start(deps, asker, **wanted, visibility="public")
    once.run_due(deps)
    shown = pictures(deps, opened)
    assert [client.get(one).status_code for one in shown] == [200, 200]
    start(deps, asker, **wanted, visibility="private")
    once.run_due(deps)
    assert pictures(deps, opened) == shown, "drawn again from the pack, they come out the same"
    assert [client.get(one).status_code for one in shown] == [401, 401]
    choose(deps, asker, requireReview=True)
    start(deps, asker, **wanted, visibility="public")
    once.run_due(deps)
    assert [client.get(one).status_code for one in shown] == [401, 401]
    approve(deps, asker, "water", None)
    assert [client.get(one).status_code for one in shown] == [200, 200]
    start(deps, asker, **{**wanted, "visibility": "public", "itemsPerGroup": 5})
    once.run_due(deps)
    assert [client.get(one).status_code for one in shown] == [401, 401]


COURSES = ("leaves", "roots", "trees", "woods")
MOVES = ("public", "org", "private", "take out", "have it reviewed", "approve")


def move(deps: Deps, whose: Asker, course_id: str, name: str, shows: tuple[str, ...]) -> None:
    if name == "take out":
        take_out(deps, whose, course_id)
    elif name == "have it reviewed":
        have_it_reviewed(deps, whose, course_id)
    elif name == "approve":
        approve(deps, whose, course_id, None)
    else:
        with deps.db.transaction() as tx:
            listing = save(tx, whose, course_id, name, shows)
            reviews.forget(tx, whose.organization_id, course_id)
            list_course(deps.bus, tx, listing)


_STORY = st.lists(st.tuples(st.sampled_from(MOVES), st.sets(st.sampled_from([LEAF, ROOT])).map(tuple)), max_size=6)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(*[_STORY] * len(COURSES)))
def test_whatever_happens_to_several_courses_at_once(
    client: FlaskClient, deps: Deps, asker: Asker, stories: tuple[list[tuple[str, tuple[str, ...]]], ...]
) -> None:
    """The same bytes in all of them, opened and closed at the same moments: what is left is what the courses say."""
    for sha256 in (LEAF, ROOT):
        draw(deps, asker, sha256)
    for course_id in COURSES:
        move(deps, asker, course_id, "public", (LEAF,))

    def tell(course_id: str, story: list[tuple[str, tuple[str, ...]]]) -> None:
        for name, shows in story:
            move(deps, asker, course_id, name, shows)

    done = together([partial(tell, course_id, story) for course_id, story in zip(COURSES, stories, strict=True)])
    assert done == [None] * len(COURSES)
    for sha256 in (LEAF, ROOT):
        is_open = any(_shows_everybody(deps, asker.organization_id, course_id, sha256) for course_id in COURSES)
        assert client.get(path_of(sha256)).status_code == (200 if is_open else 401), (sha256, stories)


def _shows_everybody(deps: Deps, organization_id: UUID, course_id: str, sha256: str) -> bool:
    """Asked of the course's own rows."""
    current = documents.current(deps.db, organization_id, "course", course_id)
    listed = rows(deps, "SELECT visibility FROM course_metadata WHERE course_id = :id", id=course_id)
    if current is None or [row.visibility for row in listed] != ["public"]:
        return False
    waits = reviews.waits(deps.db, organization_id, course_id)
    return not waits and current.content["visibility"] == "public" and sha256 in str(current.content["studyTexts"])


def test_many_courses_change_at_the_same_moment(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    """All close what all showed, or open it; in the end nobody has forgotten it, and nobody waited for ever."""
    draw(deps, asker, LEAF)
    draw(deps, asker, ROOT)
    names = [f"course-{number}" for number in range(8)]
    for visibility, status in (("public", 200), ("org", 401), ("public", 200), ("private", 401)):
        changes = [
            partial(show, deps, asker, course_id, visibility, *((LEAF, ROOT) if number % 2 else (ROOT, LEAF)))
            for number, course_id in enumerate(names)
        ]
        assert together(changes) == [None] * len(names)
        assert [client.get(path_of(one)).status_code for one in (LEAF, ROOT)] == [status, status], visibility

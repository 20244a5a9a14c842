"""The migration that closes what no public course shows: what it finds there, in use or not, and back again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from schema.clock import new_id
from schema.errors import Unavailable
from storage.postgres.schema_version import head, upgrade
from tests.integration.test_migrations import downgrade
from tests.integration.test_upgrade_in_use import ORG, at, long_transaction, older

__all__ = ["older"]

#: By their letters: the picture that a course shows, how open the release before had made it, how open the course is.
_ASSETS = {"a": "public", "b": "public", "c": "public", "d": "public", "e": "org", "f": "private"}


def run(engine: Engine, statement: str, **values: Any) -> list[Any]:
    with engine.connect() as connection:
        found = connection.execute(text(statement), values)
        return list(found.all()) if found.returns_rows else []


def put(engine: Engine, course_id: str, visibility: str, *shown: str, listed: bool = True) -> None:
    """A course's next revision, as the release before saved it."""
    content = {"visibility": visibility, "studyTexts": [f"![x](/content/media/{one * 64}.png)" for one in shown]}
    values = {"org": ORG, "id": course_id, "content": json.dumps(content), "visibility": visibility}
    with engine.connect() as connection:
        for statement in (
            "BEGIN",
            """INSERT INTO documents (organization_id, kind, document_id, revision) VALUES (:org, 'course', :id, 1)
            ON CONFLICT (organization_id, kind, document_id) DO UPDATE SET revision = documents.revision + 1""",
            """INSERT INTO document_revisions (organization_id, kind, document_id, revision, content, source, change)
            SELECT organization_id, kind, document_id, revision, CAST(:content AS jsonb), 'app', 'edited'
            FROM documents WHERE organization_id = :org AND document_id = :id""",
            """INSERT INTO course_metadata (organization_id, course_id, title, description, subject, grade_band,
              language, visibility, tags, item_count, has_study_texts, content_version, revision, catalog_version)
            SELECT :org, :id, 't', '', 's', '4', 'en', :visibility, '{}', 1, true, 'v1', 1, 1"""
            if listed
            else "SELECT",
            "COMMIT",
        ):
            connection.execute(text(statement), values)


@pytest.fixture
def filled(older: Engine) -> Engine:
    """As the release before left it: each picture that a public course ever showed is public."""
    upgrade(older, "0010")
    for letter, visibility in _ASSETS.items():
        asset = """INSERT INTO media_assets (id, organization_id, sha256, extension, content_type, byte_size,
          visibility, prompt, source, course_id)
        VALUES (:id, :org, :sha, 'png', 'image/png', 1, :visibility, '', 'pack', 'c')"""
        run(older, asset, id=new_id(), org=ORG, sha=letter * 64, visibility=visibility)
    run(older, "UPDATE media_assets SET course_id = NULL WHERE sha256 = :sha", sha="d" * 64)
    put(older, "open", "public", "b", "b", listed=False)
    put(older, "open", "public", "a", "f", "a")
    put(older, "closed", "org", "c", "e")
    return older


def everybodys(engine: Engine) -> str:
    """The letters of what the web shows to nobody in particular."""
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SET LOCAL ROLE coursewright_web")
        found = connection.exec_driver_sql("SELECT left(sha256, 1) FROM media_assets ORDER BY 1").scalars().all()
        connection.exec_driver_sql("ROLLBACK")
    return "".join(found)


def test_what_a_public_course_shows_stays_open_and_the_rest_is_closed(filled: Engine) -> None:
    assert everybodys(filled) == "abcd"
    upgrade(filled)
    # What belongs to no course is as it was made, and what was closed by mistake is open.
    assert everybodys(filled) == "adf"
    noted = run(filled, "SELECT course_id, left(sha256, 1), visibility FROM course_media ORDER BY 1, 2")
    assert [tuple(row) for row in noted] == [
        ("closed", "c", "org"),
        ("closed", "e", "org"),
        ("open", "a", "public"),
        ("open", "f", "public"),
    ]
    put(filled, "open", "public", "e", listed=False)
    assert everybodys(filled) == "de", "the release before goes on saving courses, and need not know"


def test_what_waits_for_a_review_is_closed(filled: Engine) -> None:
    run(filled, "INSERT INTO course_reviews (organization_id, course_id, revision) VALUES (:org, 'open', 2)", org=ORG)
    upgrade(filled)
    assert everybodys(filled) == "d"


def test_going_back_keeps_closed_what_is_closed(filled: Engine) -> None:
    upgrade(filled)
    downgrade(filled, "0010")
    assert everybodys(filled) == "adf"
    kept = run(filled, "SELECT left(sha256, 1), visibility FROM media_assets ORDER BY 1")
    assert dict(map(tuple, kept)) == {"a": "public", "b": "org", "c": "org", "d": "public", "e": "org", "f": "public"}
    upgrade(filled)
    assert everybodys(filled) == "adf"


def test_one_that_is_held_up_goes_on_from_there(filled: Engine) -> None:
    with long_transaction(filled, "SELECT count(*) FROM media_assets"):
        with pytest.raises(Unavailable) as refused:
            upgrade(filled, tries=2, pause_seconds=0.1)
        assert (refused.value.code, at(filled)) == ("upgrade_blocked", "0010")
        assert everybodys(filled) == "abcd", "until all is noted, it is as it was"
    upgrade(filled)
    assert (everybodys(filled), at(filled)) == ("adf", head())


def test_a_course_that_is_saved_meanwhile_is_noted_as_it_is_then(filled: Engine) -> None:
    """Somebody has it locked while its turn comes, and saves that it shows another picture."""
    content = json.dumps({"visibility": "public", "studyTexts": [f"/content/media/{'e' * 64}.png"]})
    upgrading = threading.Thread(target=partial(upgrade, filled, pause_seconds=0.1, tries=20))
    others = create_engine(filled.url, isolation_level="AUTOCOMMIT")
    with others.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SELECT FROM documents WHERE document_id = 'open' FOR NO KEY UPDATE")
        upgrading.start()
        _until(lambda: bool(run(others, _WAITS)))
        connection.exec_driver_sql("UPDATE documents SET revision = 3 WHERE document_id = 'open'")
        connection.execute(
            text(
                """INSERT INTO document_revisions
                  (organization_id, kind, document_id, revision, content, source, change)
                VALUES (:org, 'course', 'open', 3, CAST(:content AS jsonb), 'app', 'edited')"""
            ),
            {"org": ORG, "content": content},
        )
        connection.exec_driver_sql("COMMIT")
    upgrading.join(60)
    others.dispose()
    assert at(filled) == head()
    assert everybodys(filled) == "de"


_WAITS = """SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
  AND query LIKE 'DO $fill$%'"""


def test_a_document_is_unpacked_the_same_few_times_however_much_it_shows(filled: Engine) -> None:
    """Unpacked for each picture, a course of megabytes with thousands of them held its saving up for minutes."""
    upgrade(filled)
    few, many = (_unpacked(filled, f"with-{count}", count) for count in (3, 300))
    assert 0 < few == many


def _unpacked(engine: Engine, course_id: str, count: int) -> int:
    """How often a course's document is fetched from where what is large is kept while it is saved, with so many
    pictures. It is as large with few as with many."""
    shown = [f"/content/media/{sha256(str(n).encode()).hexdigest()}.png" for n in range(count)]
    filling = [sha256(f"{course_id} {n}".encode()).hexdigest() for n in range(1000 - count)]
    content = json.dumps({"visibility": "public", "studyTexts": shown + filling})
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        # As in a process that has saved a few courses already: until then plans are made for one document each.
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        connection.execute(text(_INSERT), {"org": ORG, "id": course_id})
        before = connection.exec_driver_sql(_FETCHED).scalar_one()
        connection.execute(text(_SAVE), {"org": ORG, "id": course_id, "content": content})
        fetched = connection.exec_driver_sql(_FETCHED).scalar_one() - before
        connection.exec_driver_sql("COMMIT")
    noted = run(engine, "SELECT count(*) FROM course_media WHERE course_id = :id", id=course_id)
    assert noted[0][0] == count
    return int(fetched)


_INSERT = "INSERT INTO documents (organization_id, kind, document_id, revision) VALUES (:org, 'course', :id, 1)"
_SAVE = """INSERT INTO document_revisions (organization_id, kind, document_id, revision, content, source, change)
VALUES (:org, 'course', :id, 1, CAST(:content AS jsonb), 'app', 'edited')"""
_FETCHED = """SELECT idx_scan FROM pg_stat_xact_all_tables
WHERE relid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'document_revisions'::regclass)"""


def _until(so: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not so():
        assert time.monotonic() < until
        time.sleep(0.01)

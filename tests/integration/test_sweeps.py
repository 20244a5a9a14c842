"""Sweeping the store: what is old and needed by nobody goes, a bounded part each time, and nothing else ever does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from schema.clock import new_id
from schema.errors import Transient
from schema.settings import DEMO_ORGANIZATION_ID
from storage import media
from storage.engine import corrections
from storage.media import Asset
from storage.objects import Found, ObjectStore
from storage.processes import free_port
from tasks import cron, once, sweeps
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.publish import catalog_key, course_key, debug_key
from tests.integration.stage import WATER, at_once, change, job, one, put_job, rows, start

pytestmark = pytest.mark.usefixtures("empty_store")
ORG = UUID(DEMO_ORGANIZATION_ID)
NOWHERE = UUID("99999999-0000-4000-8000-000000000009")


class Later(ObjectStore):
    """A store some hours from now: everything in it is that much older."""

    hours = 0.0

    def clock(self) -> datetime:
        return super().clock() + timedelta(hours=self.hours)


def later(deps: Deps, hours: float) -> Deps:
    """The same deps, some hours from now as far as the store's clock goes."""
    store = Later(deps.settings.s3)
    store.hours = hours
    return replace(deps, objects=store)


def put(deps: Deps, key: str, bucket: str | None = None) -> str:
    deps.objects.put(bucket or deps.settings.s3.courses_bucket, key, b"{}", "application/json", "no-cache")
    return key


def there(deps: Deps, key: str, bucket: str | None = None) -> bool:
    return deps.objects.stored(bucket or deps.settings.s3.courses_bucket, key) is not None


def made_document(deps: Deps, course_id: str, archived: bool = False) -> None:
    change(
        deps,
        """INSERT INTO documents (organization_id, kind, document_id, revision, stored_revision, archived_at)
        VALUES (:org, 'course', :id, 1, 1, CASE WHEN :archived THEN clock_timestamp() END)""",
        org=ORG,
        id=course_id,
        archived=archived,
    )


def made_asset(deps: Deps, sha: str) -> None:
    with deps.db.transaction() as tx:
        media.keep(tx, Asset(ORG, sha, "png", "image/png", 2, 1, 1, "org", "a cloud", "pack", None, None))


class TestCourses:
    def test_a_file_without_its_course_goes_after_a_day(self, deps: Deps) -> None:
        made_document(deps, "kept")
        made_document(deps, "put-away", archived=True)
        kept = [put(deps, course_key(ORG, name)) for name in ("kept", "put-away")]
        kept.append(put(deps, f"{ORG}/kept/versions/3.json"))
        lost = [put(deps, course_key(ORG, "lost")), put(deps, f"{ORG}/lost/versions/3.json")]
        lost.append(put(deps, course_key(NOWHERE, "kept")))
        assert sweeps.sweep(later(deps, 23)) == {}
        assert sweeps.sweep(later(deps, 25)) == {"document": 3}
        assert [there(deps, key) for key in kept + lost] == [True] * 3 + [False] * 3
        assert [(one.kind, one.count) for one in corrections.read(deps.db)] == [("orphan_document", 3)]

    def test_a_document_of_another_kind_does_not_stand_for_a_course(self, deps: Deps) -> None:
        made_document(deps, "talk")
        change(deps, "UPDATE documents SET kind = 'lecture'")
        put(deps, course_key(ORG, "talk"))
        assert sweeps.sweep(later(deps, 25)) == {"document": 1}

    def test_a_catalog_goes_with_its_organization(self, deps: Deps) -> None:
        whole, own = put(deps, "catalog.json"), put(deps, catalog_key(ORG))
        lost = put(deps, catalog_key(NOWHERE))
        assert sweeps.sweep(later(deps, 25)) == {"catalog": 1}
        assert [there(deps, key) for key in (whole, own, lost)] == [True, True, False]

    @pytest.mark.parametrize(
        "key",
        [
            "README.txt",
            f"{ORG}/notes.txt",
            f"{ORG}/lost/course.json.bak",
            f"{ORG}/lost/pictures/course.json",
            f"x{ORG}/lost/course.json",
            "debug/README.txt",
            f"debug/{ORG}/jobs/not-an-id/repair.json",
        ],
    )
    def test_a_key_that_is_not_ours_is_left_alone(self, deps: Deps, key: str) -> None:
        put(deps, key)
        assert sweeps.sweep(later(deps, 10_000)) == {}
        assert there(deps, key)


class TestMedia:
    def test_bytes_without_their_row_go_after_a_day(self, deps: Deps) -> None:
        bucket = deps.settings.s3.media_bucket
        made_asset(deps, "a" * 64)
        kept = put(deps, f"{ORG}/{'a' * 64}.png", bucket)
        lost = [f"{ORG}/{'b' * 64}.png", f"{ORG}/{'a' * 64}.webp", f"{NOWHERE}/{'a' * 64}.png"]
        for key in lost:
            put(deps, key, bucket)
        foreign = put(deps, f"{ORG}/logo.png", bucket)
        assert sweeps.sweep(later(deps, 23)) == {}
        assert sweeps.sweep(later(deps, 25)) == {"asset": 3}
        assert [there(deps, key, bucket) for key in (kept, foreign, *lost)] == [True, True, False, False, False]

    def test_what_a_job_made_stays(self, deps: Deps, asker: Asker) -> None:
        start(deps, asker, **WATER, courseId="water", generateStudyTextImages=True)
        once.run_due(deps)
        change(deps, "UPDATE jobs SET completed_at = completed_at - interval '40 days'")
        swept = sweeps.sweep(later(deps, 10_000))
        assert swept.keys() <= {"debug"}
        assert there(deps, course_key(ORG, "water"))
        assets = rows(deps, "SELECT sha256, extension FROM media_assets")
        assert assets
        for sha, extension in assets:
            assert there(deps, f"{ORG}/{sha}.{extension}", deps.settings.s3.media_bucket)

    def test_bytes_that_were_stored_again_meanwhile_stay(self, deps: Deps) -> None:
        """Listed as old, but by now somebody has put them there anew, and their row is still to come."""

        class Behind(ObjectStore):
            def list(self, bucket: str, after: str = "", limit: int = 1000) -> Sequence[Found]:
                listed = super().list(bucket, after, limit)
                return [Found(one.key, one.written_at - timedelta(days=2)) for one in listed]

        bucket = deps.settings.s3.media_bucket
        key = put(deps, f"{ORG}/{'c' * 64}.png", bucket)
        assert sweeps.sweep(replace(deps, objects=Behind(deps.settings.s3))) == {}
        assert there(deps, key, bucket)


class TestDebug:
    def debug(self, deps: Deps, job_id: UUID, status: str = "done") -> str:
        change(deps, "UPDATE jobs SET status = :status WHERE id = :id", status=status, id=job_id)
        return put(deps, debug_key(ORG, job_id, "llm/1.json"))

    def test_it_goes_when_it_is_as_old_as_jobs_may_get(self, deps: Deps) -> None:
        keys = [self.debug(deps, put_job(deps, ORG), status) for status in ("done", "failed", "cancelled")]
        keys.append(put(deps, debug_key(ORG, new_id(), "repair.json")))
        assert sweeps.sweep(later(deps, 719)) == {}
        assert sweeps.sweep(later(deps, 721)) == {"debug": 4}
        assert not any(there(deps, key) for key in keys)
        assert corrections.read(deps.db) == [], "that they grow old is nobody's fault"

    @pytest.mark.parametrize("status", ["dead_letter", "pending", "processing", "stale"])
    def test_it_stays_while_its_job_is_a_dead_letter_or_at_work(self, deps: Deps, status: str) -> None:
        job_id = put_job(deps, ORG)
        key = self.debug(deps, job_id, status)
        assert sweeps.sweep(later(deps, 10_000)) == {}
        assert there(deps, key)
        change(deps, "UPDATE jobs SET status = 'done' WHERE id = :id", id=job_id)
        assert sweeps.sweep(later(deps, 10_000)) == {"debug": 1}

    def test_another_organizations_folder_does_not_count_as_the_jobs(self, deps: Deps) -> None:
        job_id = put_job(deps, ORG)
        put(deps, debug_key(NOWHERE, job_id, "repair.json"))
        assert sweeps.sweep(later(deps, 10_000)) == {"debug": 1}


class TestBounds:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"LISTED": 10, "PAGE": 5, "DELETED": 10, "LOOKED_AT": 30, "SECONDS": 600}.items():
            monkeypatch.setattr(sweeps, name, value)

    def orphaned(self, deps: Deps, count: int) -> None:
        for number in range(count):
            put(deps, debug_key(ORG, new_id(), f"{number}.json"))

    def test_a_tick_deletes_a_bounded_part_and_the_next_goes_on(self, deps: Deps) -> None:
        self.orphaned(deps, 23)
        then = later(deps, 1000)
        assert [sweeps.sweep(then).get("debug", 0) for _ in range(4)] == [10, 10, 3, 0]

    def test_a_tick_looks_at_a_bounded_part_and_the_next_goes_on(self, deps: Deps) -> None:
        for number in range(45):
            put(deps, f"a/{number:02}/left-alone")
        self.orphaned(deps, 3)
        then = later(deps, 1000)
        assert [sweeps.sweep(then) for _ in range(3)] == [{}, {"debug": 3}, {}]

    def test_after_a_restart_it_begins_anew(self, deps: Deps) -> None:
        for number in range(45):
            put(deps, f"a/{number:02}/left-alone")
        self.orphaned(deps, 3)
        assert sweeps.sweep(later(deps, 1000)) == {}
        assert sweeps.sweep(later(deps, 1000)) == {}
        then = later(deps, 1000)
        assert [sweeps.sweep(then), sweeps.sweep(then)] == [{}, {"debug": 3}]

    def test_two_at_once_do_no_harm(self, deps: Deps) -> None:
        made_document(deps, "kept")
        put(deps, course_key(ORG, "kept"))
        self.orphaned(deps, 8)
        then = later(deps, 1000)
        answers = at_once(3, lambda: sweeps.sweep(then))
        assert [answer for answer in answers if isinstance(answer, BaseException)] == []
        sweeps.sweep(then)
        assert [found.key for found in deps.objects.list(deps.settings.s3.courses_bucket)] == [course_key(ORG, "kept")]

    def test_what_the_store_does_not_delete_does_not_stop_the_rest(self, deps: Deps) -> None:
        class Refusing(Later):
            refused = False

            def delete(self, bucket: str, keys: Sequence[str]) -> None:
                if not self.refused:
                    self.refused = True
                    raise Transient("No.", code="store_away")
                super().delete(bucket, keys)

        self.orphaned(deps, 8)
        store = Refusing(deps.settings.s3)
        store.hours = 1000
        then = replace(deps, objects=store)
        with pytest.raises(Transient):
            sweeps.sweep(then)
        assert sweeps.sweep(then) == {"debug": 3}
        assert sweeps.sweep(then) == {"debug": 5}


class TestTheWrongDatabase:
    def test_when_it_knows_hardly_anything_nothing_is_deleted(self, deps: Deps) -> None:
        """As when somebody starts with an empty database beside a full store."""
        bucket = deps.settings.s3.media_bucket
        keys = [put(deps, f"{ORG}/{number:064x}.png", bucket) for number in range(30)]
        then = later(deps, 25)
        assert sweeps.sweep(then) == {}
        assert all(there(deps, key, bucket) for key in keys)
        for number in range(16):
            made_asset(deps, f"{number:064x}")
        assert sweeps.sweep(then) == {"asset": 14}

    def test_a_few_orphans_among_a_few_are_no_reason_to_doubt(self, deps: Deps) -> None:
        for number in range(sweeps.SUSPICIOUS):
            put(deps, course_key(ORG, f"lost-{number}"))
        assert sweeps.sweep(later(deps, 25)) == {"document": sweeps.SUSPICIOUS}


class TestTheTick:
    def test_it_purges_and_sweeps(self, deps: Deps) -> None:
        job_id = put_job(deps, ORG)
        change(deps, "UPDATE jobs SET status = 'done', completed_at = clock_timestamp() - interval '40 days'")
        put(deps, debug_key(ORG, job_id, "repair.json"))
        cron.expire(later(deps, 1000))
        assert job(deps, job_id).purged_at is not None
        assert deps.objects.list(deps.settings.s3.courses_bucket) == []

    @pytest.fixture
    def old(self, deps: Deps) -> UUID:
        """A job past its time, and a file of it."""
        job_id = put_job(deps, ORG)
        change(deps, "UPDATE jobs SET status = 'done', completed_at = clock_timestamp() - interval '40 days'")
        put(deps, debug_key(ORG, job_id, "repair.json"))
        return job_id

    def purged_and_swept(self, deps: Deps, job_id: UUID) -> tuple[bool, bool]:
        cron.expire(later(deps, 1000))
        swept = deps.objects.list(deps.settings.s3.courses_bucket) == []
        return job(deps, job_id).purged_at is not None, swept

    def test_while_another_thread_is_at_the_store_it_only_purges(self, deps: Deps, old: UUID) -> None:
        with cron._at_the_store:
            assert self.purged_and_swept(deps, old) == (True, False)
        assert self.purged_and_swept(deps, old) == (True, True)

    def test_while_another_thread_purges_it_only_sweeps(self, deps: Deps, old: UUID) -> None:
        with cron._at_the_purge:
            assert self.purged_and_swept(deps, old) == (False, True)
        assert self.purged_and_swept(deps, old) == (True, True)

    def test_when_its_time_is_over_the_next_goes_on(
        self, deps: Deps, old: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(cron, "PURGE_SECONDS", 0.0)
            assert self.purged_and_swept(deps, old)[0] is False
        assert self.purged_and_swept(deps, old)[0] is True

    def test_it_ends_when_its_process_is_to_stop(self, deps: Deps, old: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("LISTED", "PAGE", "LOOKED_AT"):
            monkeypatch.setattr(sweeps, name, 1 if name != "LOOKED_AT" else 9)
        put(deps, debug_key(ORG, old, "validation_issues.json"))
        then = later(deps, 1000)
        then.watcher.shut_down()
        cron.expire(then)
        assert job(deps, old).purged_at is None
        assert len(deps.objects.list(deps.settings.s3.courses_bucket)) == 1, "it looked at one, and not at the other"

    def test_without_the_store_it_still_purges(self, deps: Deps) -> None:
        job_id = put_job(deps, ORG)
        change(deps, "UPDATE jobs SET status = 'done', completed_at = clock_timestamp() - interval '40 days'")
        nowhere = ObjectStore(replace(deps.settings.s3, endpoint_url=f"http://127.0.0.1:{free_port()}"))
        cron.expire(replace(deps, objects=nowhere))
        assert job(deps, job_id).purged_at is not None
        assert one(deps, "SELECT count(*) FROM daily_stats WHERE kind = 'job'") == 1

"""Streams over HTTP, from the web's own processes: what is sent, to whom, until when; and what holds nothing while it
waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
import urllib3

from schema.clock import new_id
from schema.events import Event
from storage import catalog, events
from storage.people.grounds import Grounds
from tests.conftest import Databases, Servers, eventually
from tests.integration.stage import change, one, school
from tests.integration.web_process import AGENT, ORG, STEP, Web, serving
from tests.sse_client import Listener
from web.identity.agents import mark_of_commands
from web.streams import token

NOBODYS = UUID(int=7)


@pytest.fixture(scope="module")
def web(servers: Servers, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One web process for all tests of this file, with a database of its own."""
    with serving(servers, databases, tmp_path_factory.mktemp("streams")) as made:
        yield made


class TestAJob:
    def test_what_was_told_is_replayed_and_what_is_told_comes_at_once(self, web: Web) -> None:
        job_id = web.new_job()
        web.tell(job_id, Event("step_started", STEP))
        with web.follow(job_id) as listener:
            listener.until(lambda it: it.ids == [1, 2])
            began = time.monotonic()
            web.tell(job_id, Event("step_progress", STEP))
            listener.until(lambda it: it.ids == [1, 2, 3])
            assert time.monotonic() - began < 10, "by a wake; the look without one comes after twelve seconds or more"
            assert listener.events == events.after(web.deps.db, ORG, job_id, 0)
            assert [block["event"] for block in listener.blocks[1:]] == [event["type"] for event in listener.events]

    def test_head_and_first_words_are_those_of_the_contract(self, web: Web) -> None:
        with web.follow(web.new_job()) as listener:
            listener.until(lambda it: it.ids)
            assert listener.status == 200
            assert listener.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert listener.headers["cache-control"] == "no-cache, no-transform"
            assert listener.headers["x-accel-buffering"] == "no"
            assert listener.headers["connection"] == "close"
            assert not listener.headers.keys() & {"content-length", "transfer-encoding", "content-encoding"}
            assert {"x-request-id", "date"} <= listener.headers.keys()
            assert listener.blocks[0] == {"retry": "2000"}

    def test_a_client_that_comes_back_gets_what_it_missed(self, web: Web) -> None:
        job_id = web.new_job()
        web.tell(job_id, *[Event("step_progress", STEP)] * 4)
        with web.follow(job_id, 3) as listener:
            listener.until(lambda it: it.ids == [4, 5])
        with web.listen(f"/api/jobs/{job_id}/stream?lastEventId=4") as listener:
            listener.until(lambda it: it.ids == [5])
        # The header is the browser's own, and knows more than the address it was made with.
        both = f"/api/jobs/{job_id}/stream?lastEventId=1"
        with web.listen(both, AGENT | {"Last-Event-ID": "4"}) as listener:
            listener.until(lambda it: it.ids == [5])

    def test_who_comes_back_is_counted_apart_from_who_comes_with_a_number(self, web: Web) -> None:
        job_id = web.new_job()
        web.tell(job_id, *[Event("step_progress", STEP)] * 4)
        address = f"/api/jobs/{job_id}/stream?lastEventId=4"
        came, before = ("no", "yes", "yes"), self.connects(web)
        for path, more in ((address, {}), (f"{address}&reconnect=yes", {}), (address, {"Last-Event-ID": "4"})):
            with web.listen(path, AGENT | more) as listener:
                listener.until(lambda it: it.ids == [5])
        expected = {kind: before[kind] + came.count(kind) for kind in before}
        eventually(lambda: self.connects(web) == expected, what="the counts")

    def connects(self, web: Web) -> dict[str, float]:
        name = "coursewright_http_stream_connects_total"
        return {kind: web.metric(f'{name}{{kind="job",resumed="{kind}"}}') for kind in ("no", "yes")}

    def test_who_has_seen_more_than_there_is_gets_what_comes(self, web: Web) -> None:
        job_id = web.new_job()
        with web.follow(job_id, 99) as listener:
            web.tell(job_id, Event("step_progress", STEP))
            listener.until(lambda it: it.ids == [2])

    def test_it_ends_with_the_job_and_then_there_is_nothing(self, web: Web) -> None:
        job_id = web.new_job()
        with web.follow(job_id) as listener:
            listener.until(lambda it: it.ids == [1])
            last = web.end(job_id)
            listener.until_end()
            assert listener.ids == [1, last]
        with web.follow(job_id, last) as listener:
            assert (listener.status, listener.headers["cache-control"]) == (204, "no-store")
        with web.follow(job_id, 99) as listener:
            assert listener.status == 204
        with web.follow(job_id, 1) as listener:
            assert listener.until_end().ids == [last]

    def test_it_stays_open_while_pictures_are_made(self, web: Web) -> None:
        job_id = web.new_job()
        done = web.end(job_id, pending=1)
        with web.follow(job_id) as listener:
            listener.until(lambda it: it.ids == [1, done])
            change(web.deps, "UPDATE jobs SET media_pending = 0 WHERE id = :job", job=job_id)
            web.tell(job_id, Event("media_settled", {"completed": 1, "failed": 0}))
            assert listener.until_end().ids == [1, done, done + 1]
            assert listener.events[-1]["type"] == "media_settled"

    def test_a_retried_jobs_stream_tells_of_the_failure_and_goes_on(self, web: Web) -> None:
        job_id = web.new_job()
        body = {"error": {"code": "x", "message": "y"}, "failedStep": "fill", "canResume": True, "deadLetter": False}
        web.tell(job_id, Event("job_failed", body))
        with web.follow(job_id) as listener:
            listener.until(lambda it: it.ids == [1, 2])
            web.tell(job_id, Event("step_started", STEP))
            listener.until(lambda it: it.ids == [1, 2, 3])

    def test_the_job_itself_comes_in_the_place_of_purged_events(self, web: Web) -> None:
        job_id = web.new_job()
        web.tell(job_id, *[Event("step_progress", STEP)] * 3)
        last = web.end(job_id)
        change(web.deps, "DELETE FROM job_events WHERE job_id = :job", job=job_id)
        with web.follow(job_id, 2) as listener:
            listener.until_end()
            [snapshot] = listener.events
            assert (snapshot["type"], snapshot["jobId"]) == ("job_snapshot", str(job_id))
            assert (snapshot["job"]["status"], snapshot["job"]["jobId"]) == ("done", str(job_id))
            shown = next(block for block in listener.blocks if "data" in block)
            assert shown["event"] == "job_snapshot" and "id" not in shown
            assert listener.last_id == last
        with web.follow(job_id, listener.last_id) as listener:
            assert listener.status == 204

    def test_after_a_snapshot_a_living_job_is_followed(self, web: Web) -> None:
        job_id = web.new_job()
        last = web.tell(job_id, *[Event("step_progress", STEP)] * 3)
        change(web.deps, "DELETE FROM job_events WHERE job_id = :job AND seq < 3", job=job_id)
        with web.follow(job_id, 1) as behind, web.follow(job_id, 2) as at_the_edge:
            at_the_edge.until(lambda it: it.ids == [3, 4])
            behind.until(lambda it: it.last_id == last)
            assert [event["type"] for event in behind.events] == ["job_snapshot"]
            web.tell(job_id, Event("step_progress", STEP))
            behind.until(lambda it: it.ids == [last + 1])
            at_the_edge.until(lambda it: it.ids == [3, 4, last + 1])

    def test_deltas_are_shown_to_who_is_there_and_never_replayed(self, web: Web) -> None:
        job_id = web.new_job()
        body = {"type": "content_delta", "jobId": str(job_id), "timestamp": "t", "text": "two\nlines ä"}
        with web.follow(job_id) as listener:
            listener.until(lambda it: it.ids == [1])

            def shown(it: Listener) -> bool:
                web.deps.bus.delta(job_id, body)
                return len(it.events) > 1

            listener.until(shown)
            assert listener.events[1] == body
            delta = next(block for block in listener.blocks if block.get("event") == "content_delta")
            assert "id" not in delta
        with web.follow(job_id) as listener:
            web.tell(job_id, Event("step_progress", STEP))
            listener.until(lambda it: 2 in it.ids)
            assert [event["type"] for event in listener.events] == ["job_created", "step_progress"]

    def test_a_head_is_a_head(self, web: Web) -> None:
        with web.follow(web.new_job(), method="HEAD") as listener:
            assert (listener.status, listener.headers["content-type"][:17]) == (200, "text/event-stream")
            listener.read(0.3)
            assert listener.blocks == []

    @pytest.mark.parametrize("seen", ["x", "-1", "1.5", "٣", "1" * 19])
    def test_an_id_that_is_none_is_refused(self, web: Web, seen: str) -> None:
        with web.listen(f"/api/jobs/{new_id()}/stream?lastEventId={quote(seen)}") as listener:
            assert (listener.status, listener.json()["errors"][0]["path"]) == (422, "lastEventId")

    @pytest.mark.parametrize(
        ("given", "path"), [("last_event_id=1", "last_event_id"), ("lastEventId=1&lastEventId=2", "lastEventId")]
    )
    def test_an_id_that_is_misspelt_is_not_none(self, web: Web, given: str, path: str) -> None:
        job_id = web.new_job()
        for place in (f"/api/jobs/{job_id}/stream", f"/api/generation/stream/{job_id}", "/api/catalog/stream"):
            with web.listen(f"{place}?{given}") as listener:
                assert (listener.status, listener.json()["errors"][0]["path"]) == (422, path), place

    @pytest.mark.parametrize("job_id", ["x", "00000000-0000-4000-8000-00000000000f"])
    def test_a_job_that_is_not_there_is_not_found(self, web: Web, job_id: str) -> None:
        with web.listen(f"/api/jobs/{job_id}/stream") as listener:
            assert (listener.status, listener.json()["code"]) == (404, "not_found")

    def test_the_older_name_streams_the_same(self, web: Web) -> None:
        job_id = web.new_job()
        web.tell(job_id, Event("step_started", STEP))
        last = web.end(job_id)
        with web.listen(f"/api/generation/stream/{job_id}") as listener:
            assert listener.until_end().events == events.after(web.deps.db, ORG, job_id, 0)
        with web.listen(f"/api/generation/stream/{job_id}?lastEventId={last}") as listener:
            assert listener.status == 204


class TestTokens:
    def path(self, web: Web, job_id: UUID, **other: Any) -> str:
        grounds = Grounds(**({"organization_id": ORG, "mark": mark_of_commands(web.deps)} | other))
        return f"/api/jobs/{job_id}/stream?token={token.make(web.deps.settings.signing_keys, grounds, job_id)}"

    def test_a_token_lets_in_whoever_has_it(self, web: Web) -> None:
        job_id = web.new_job()
        with web.listen(self.path(web, job_id), {}) as listener:
            listener.until(lambda it: it.ids == [1])
            assert listener.headers["access-control-allow-origin"] == "*"
        older = self.path(web, job_id).replace("/api/jobs/", "/api/generation/stream/").replace("/stream?", "?")
        with web.listen(older, {}) as listener:
            listener.until(lambda it: it.ids == [1])

    def test_without_one_somebody_must_say_who_they_are(self, web: Web) -> None:
        with web.listen(f"/api/jobs/{web.new_job()}/stream", {}) as listener:
            assert (listener.status, listener.json()["code"]) == (401, "unauthenticated")

    def test_a_wrong_one_opens_nothing_not_even_with_an_identity(self, web: Web) -> None:
        job_id, other = web.new_job(), web.new_job()
        path = f"/api/jobs/{job_id}/stream?token="
        forged = token.make(["another key"], Grounds(ORG, mark=mark_of_commands(web.deps)), job_id)
        for_another = self.path(web, other).partition("token=")[2]
        for given in ("", "x", "x.y", forged, for_another):
            with web.listen(path + given) as listener:
                assert (listener.status, listener.json()["code"]) == (401, "invalid_stream_token"), given
        stranger = school(web.deps).organization_id
        with web.listen(self.path(web, job_id, organization_id=stranger), {}) as listener:
            assert listener.status == 404

    @pytest.mark.parametrize(
        "fallen", [{"mark": "another"}, {"session": NOBODYS}, {"token": NOBODYS}, {"user": "eve"}], ids=str
    )
    def test_it_is_worth_what_it_was_given_for(self, web: Web, fallen: dict[str, Any]) -> None:
        path = self.path(web, web.new_job(), **({"mark": None} | fallen))
        with web.listen(path) as listener:
            assert (listener.status, listener.json()["code"]) == (401, "stream_token_expired")

    def test_it_is_for_the_stream_alone(self, web: Web) -> None:
        job_id = web.new_job()
        path = self.path(web, job_id)
        for elsewhere in (path.replace("/stream?", "?"), path.replace("/stream?", "/events?")):
            with web.listen(elsewhere, {}) as listener:
                assert listener.status == 401

    def test_it_outlives_its_job_by_a_day(self, web: Web) -> None:
        job_id = web.new_job()
        last = web.end(job_id)
        path = self.path(web, job_id) + f"&lastEventId={last}"
        for hours, status in ((23, 204), (25, 401)):
            past = timedelta(hours=hours)
            change(
                web.deps,
                """WITH told AS (UPDATE job_events SET created_at = clock_timestamp() - CAST(:past AS interval)
                  WHERE job_id = :job) UPDATE jobs SET completed_at = clock_timestamp() - CAST(:past AS interval)
                WHERE id = :job""",
                job=job_id,
                past=past,
            )
            with web.listen(path, {}) as listener:
                assert listener.status == status
                assert status == 204 or listener.json()["code"] == "stream_token_expired"
        with web.follow(job_id, last) as listener:
            assert listener.status == 204, "an identity of one's own is good for ever"
        # Taken up again, it lives again.
        change(web.deps, "UPDATE jobs SET status = 'pending' WHERE id = :job", job=job_id)
        with web.listen(path, {}) as listener:
            assert listener.status == 200

    def test_every_answer_about_a_new_job_has_one(self, web: Web) -> None:
        asked = b'{"jobType": "course", "payload": {"subject": "Addition", "gradeBand": "2", "mode": "numeric"}}'
        headers = AGENT | {"Content-Type": "application/json"}
        answer = urllib3.request("POST", f"{web.url}/api/jobs", body=asked, headers=headers).json()
        with web.listen(answer["streamUrl"], {}) as listener:
            listener.until(lambda it: it.ids)
        assert answer["streamUrl"].startswith(f"/api/jobs/{answer['jobId']}/stream?token=")


class TestWhatItHolds:
    def test_streams_hold_no_thread_and_no_connection_to_the_database(self, web: Web) -> None:
        job_id = web.new_job()
        with web.follow(job_id) as first:
            first.until(lambda it: it.ids == [1])
            # Its own pool keeps what it opened; nobody holds one inside a transaction or takes more for more streams.
            ours = "datname = current_database() AND application_name = 'coursewright-web'"
            statements = f"SELECT count(*) FROM pg_stat_activity WHERE {ours}"
            before_threads = web.worker.num_threads()
            listeners = [web.follow(job_id) for _ in range(60)]
            try:
                for listener in listeners:
                    listener.until(lambda it: it.ids == [1])
                web.tell(job_id, Event("step_progress", STEP))
                for listener in listeners:
                    listener.until(lambda it: it.ids == [1, 2])
                # What may still come are readers and request threads that were never needed before.
                assert web.worker.num_threads() <= before_threads + 12
                assert web.worker.num_threads() < 40
                eventually(lambda: one(web.deps, f"{statements} AND state <> 'idle'") == 0, what="idleness")
                assert one(web.deps, statements) <= 8
                assert web.metric('coursewright_http_streams_open{kind="job"}') >= 61
            finally:
                for listener in listeners:
                    listener.close()

    def test_a_client_that_goes_is_noticed_at_once(self, web: Web) -> None:
        eventually(lambda: web.metric('coursewright_http_streams_open{kind="job"}') == 0)
        gone = web.metric('coursewright_http_stream_ends_total{kind="job",reason="gone"}')
        with web.follow(web.new_job()) as listener:
            listener.until(lambda it: it.ids)
            eventually(lambda: web.metric('coursewright_http_streams_open{kind="job"}') == 1)
            age = time.time() - web.metric('coursewright_http_streams_begun_seconds{kind="job"}')
            assert 0 <= age < 60
        eventually(lambda: web.metric('coursewright_http_streams_open{kind="job"}') == 0, within=10)
        assert web.metric('coursewright_http_streams_begun_seconds{kind="job"}') == pytest.approx(0, abs=1)
        assert web.metric('coursewright_http_stream_ends_total{kind="job",reason="gone"}') == gone + 1

    def test_connections_of_ordinary_requests_are_kept_as_before(self, web: Web) -> None:
        plain = HTTPConnection("127.0.0.1", web.port, timeout=20)
        plain.connect()
        kept = plain.sock
        for _ in range(3):
            plain.request("GET", "/healthz")
            answer = plain.getresponse()
            assert (answer.status, answer.read() != b"") == (200, True)
            assert plain.sock is kept
        plain.close()


class TestACatalog:
    def test_it_begins_with_what_is_now_and_every_change_comes_at_once(self, web: Web) -> None:
        web.list_course("before")
        now = catalog.version(web.deps.db, ORG)
        with web.listen("/api/catalog/stream") as listener:
            assert listener.status == 200
            eventually(lambda: web.metric('coursewright_http_streams_open{kind="catalog"}') >= 1)
            began = time.monotonic()
            version = web.list_course("plants")
            listener.until(lambda it: it.ids)
            assert time.monotonic() - began < 10
            [event] = listener.events
            entry = next(one for one in catalog.whole(web.deps.db, ORG)["courses"] if one["id"] == "plants")
            assert version == now + 1
            assert (event["type"], event["courseId"], event["action"]) == ("catalog_updated", "plants", "added")
            assert (event["catalogVersion"], listener.ids, event["entry"]) == (version, [version], entry)

    def test_a_client_that_comes_back_gets_what_it_missed(self, web: Web) -> None:
        first, *others = [web.list_course(f"missed-{number}") for number in range(3)]
        with web.listen(f"/api/catalog/stream?lastEventId={first}") as listener:
            listener.until(lambda it: it.ids == others)
            assert [event["courseId"] for event in listener.events] == ["missed-1", "missed-2"]

    def test_one_who_has_seen_nothing_knows_where_to_go_on(self, web: Web) -> None:
        now = web.list_course("known")
        with web.listen("/api/catalog/stream") as listener:
            listener.until(lambda it: it.last_id == now)
            assert listener.blocks == [{"retry": "2000"}, {"id": str(now)}], "a number, and no event"
        version = web.list_course("in-between")
        with web.listen("/api/catalog/stream", AGENT | {"Last-Event-ID": str(listener.last_id)}) as listener:
            listener.until(lambda it: it.ids == [version])

    def test_from_the_beginning_all_of_it_comes(self, web: Web) -> None:
        last = web.list_course("one-more")
        with web.listen("/api/catalog/stream?lastEventId=0") as listener:
            listener.until(lambda it: it.last_id == last)
            assert listener.ids == list(range(1, last + 1))

    @pytest.mark.parametrize("ahead", [True, False])
    def test_a_gap_that_cannot_be_told_is_a_reset_and_then_it_goes_on(self, web: Web, ahead: bool) -> None:
        last = web.list_course("reset")
        if not ahead:
            change(web.deps, "DELETE FROM catalog_updates WHERE catalog_id = :id AND version <= 2", id=ORG)
        with web.listen(f"/api/catalog/stream?lastEventId={last + 5 if ahead else 1}") as listener:
            listener.until(lambda it: it.ids == [last])
            [event] = listener.events
            assert (event["type"], event["catalogVersion"]) == ("reset", last)
            following = web.list_course("reset")
            listener.until(lambda it: it.ids == [last, following])
            assert listener.events[-1]["action"] == "updated"

    def test_the_public_one_is_everybodys_and_shows_what_is_public(self, web: Web) -> None:
        with web.listen("/api/public/catalog/stream", {}) as listener:
            eventually(lambda: web.metric('coursewright_http_streams_open{kind="public_catalog"}') == 1)
            web.list_course("hidden", visibility="org")
            web.list_course("shown", visibility="public")
            web.list_course("shown", visibility="org")
            listener.until(lambda it: len(it.events) == 2)
            told = [(event["courseId"], event["action"], event["entry"] is None) for event in listener.events]
            assert told == [("shown", "added", False), ("shown", "deleted", True)]

    def test_one_of_an_organization_is_not_for_everybody(self, web: Web) -> None:
        with web.listen("/api/catalog/stream", {}) as listener:
            assert (listener.status, listener.json()["code"]) == (401, "unauthenticated")


class TestOlderNames:
    def call(self, web: Web, method: str, path: str, body: Any = None) -> Any:
        answer = urllib3.request(method, web.url + path, headers=AGENT, json=body)
        return answer.status, answer.json()

    def test_a_job_in_the_shape_they_read(self, web: Web) -> None:
        job_id = web.new_job()
        status, answer = self.call(web, "GET", f"/api/generation/status/{job_id}")
        job = answer["job"]
        assert (status, answer["canResume"], job["status"]) == (200, False, "pending")
        assert (job["id"], job["job_id"], job["current_step_index"], job["total_steps"]) == (
            str(job_id),
            str(job_id),
            0,
            6,
        )
        assert not [name for name in job if name != name.lower()]
        for ours, theirs in (("processing", "running"), ("stale", "running"), ("done", "completed"),
                             ("dead_letter", "failed"), ("failed", "failed"), ("cancelled", "cancelled")):  # fmt: skip
            change(web.deps, "UPDATE jobs SET status = :status WHERE id = :job", job=job_id, status=ours)
            assert self.call(web, "GET", f"/api/generation/status/{job_id}")[1]["job"]["status"] == theirs
        assert self.call(web, "GET", f"/api/generation/status/{new_id()}")[0] == 404

    def test_cancelling(self, web: Web) -> None:
        job_id = web.new_job()
        with web.listen(f"/api/generation/stream/{job_id}") as listener:
            listener.until(lambda it: it.ids)
            body = {"jobId": str(job_id), "reason": "No longer wanted"}
            status, answer = self.call(web, "POST", "/api/generation/cancel", body)
            assert (status, answer["success"]) == (200, True)
            assert listener.until_end().events[-1]["reason"] == "No longer wanted"
        assert self.call(web, "POST", "/api/generation/cancel", body)[0] == 409
        assert self.call(web, "POST", "/api/generation/cancel", {"jobId": str(new_id())})[0] == 404
        status, answer = self.call(web, "POST", "/api/generation/cancel", {"reason": "x"})
        assert (status, answer["errors"][0]["path"]) == (422, "jobId")

    @pytest.mark.parametrize(("body", "path"), [({}, "examId"), ({"examId": "x"}, "examId"), ({"exam": 1}, "exam")])
    def test_starting_without_an_exam(self, web: Web, body: Any, path: str) -> None:
        status, answer = self.call(web, "POST", "/api/generation/start", body)
        assert (status, path in [fault["path"] for fault in answer["errors"]]) == (422, True)

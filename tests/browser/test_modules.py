"""The pure modules of the pages, one by one, in the browser that runs them: what events add up to, and how a connection
is kept. Time passes fifty times faster here, and the server is one that does as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tasks.pipeline import PIPELINES
from tests.acceptance.conftest import System
from tests.browser.conftest import Window
from tests.conftest import eventually

FOLD = """async (events) => {
  const { fresh, fold, isOver } = await import("/static/js/job-state.js");
  const states = [];
  let state = fresh("a-job");
  for (const event of events) {
    const before = state;
    state = fold(state, event);
    states.push({ ...state, same: state === before, over: isOver(state) });
  }
  return states;
}"""

#: A stream, and polls, that do as they are told. What arrives is kept in ``window.taken``.
CONNECT = """async ({ events, blocked, canPoll }) => {
  const { EventStream } = await import("/static/js/event-stream.js");
  const lists = { server: [...events], taken: [], states: [], opened: [], streams: [] };
  Object.assign(window, { ...lists, polls: 0, pollFails: 0, over: false, goesOn: false });
  window.EventSource = class extends EventTarget {
    static CLOSED = 2;
    readyState = 0;
    constructor(after) {
      super();
      this.sent = after;
      window.opened.push({ after, at: performance.now() });
      window.streams.push(this);
      if (!blocked) setTimeout(() => this.open());
    }
    open() { this.readyState = 1; this.dispatchEvent(new Event("open")); this.flush(); }
    flush() { for (const e of window.server) if (e.seq > this.sent) this.send(e); }
    send(e) {
      if (this.readyState === 2) return;
      this.sent = Math.max(this.sent, e.seq ?? 0);
      this.dispatchEvent(Object.assign(new Event("fact"), { data: JSON.stringify(e) }));
    }
    fail(state) { this.readyState = state; this.dispatchEvent(new Event("error")); }
    close() { this.readyState = 2; }
  };
  const after = () => window.taken.at(-1)?.seq ?? 0;
  window.stream = new EventStream({
    types: ["fact"], canPoll, after, numberOf: (e) => e.seq ?? null, url: (n) => n,
    poll: async (n) => {
      window.polls += 1;
      if (window.pollFails) throw Object.assign(new Error("no"), { status: window.pollFails });
      const newer = window.server.filter((e) => e.seq > n);
      return { events: newer.slice(0, 3), more: newer.length > 3 };
    },
    take: (events) => window.taken.push(...events.filter((e) => e.seq)),
    isOver: () => window.over, mayGoOn: () => window.goesOn, connection: (state) => window.states.push(state),
  }, { second: 20 });
  window.stream.start();
}"""


@pytest.fixture(scope="module")
def window(browser: Browser, system: System) -> Iterator[Window]:
    """One for all of these tests, because each is over in a moment."""
    context = browser.new_context(base_url=system.url)
    made = Window(context, urlsplit(system.url).netloc)
    yield made
    context.close()


@pytest.fixture
def page(window: Window) -> Iterator[Page]:
    window.page.goto("/docs/errors")  # a page without scripts of its own
    yield window.page
    window.check()


def step(seq: int, name: str, index: int, how: str, progress: float, **more: Any) -> dict[str, Any]:
    body = {"step": name, "stepIndex": index, "totalSteps": 6, "message": f"At {name}", "progress": progress}
    return {
        "type": f"step_{how}",
        "jobId": "a-job",
        "seq": seq,
        "timestamp": "2026-11-21T10:00:00.000Z",
        **body,
        **more,
    }


def event(seq: int, kind: str, **body: Any) -> dict[str, Any]:
    return {"type": kind, "jobId": "a-job", "seq": seq, "timestamp": "2026-11-21T10:00:00.000Z", **body}


CREATED = event(1, "job_created", estimatedDuration=20.0)
STORY = [
    CREATED,
    step(2, "skeleton", 0, "started", 0),
    step(3, "skeleton", 0, "completed", 10, duration=2.5),
    step(4, "fill", 1, "started", 10),
]
FAILED = event(
    5,
    "job_failed",
    error={"code": "model_unauthorized", "message": "The key is wrong."},
    failedStep="fill",
    canResume=True,
    deadLetter=False,
)


class TestFold:
    def fold(self, page: Page, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        states: list[dict[str, Any]] = page.evaluate(FOLD, events)
        return states

    def test_the_steps_it_knows_are_those_there_are(self, page: Page) -> None:
        known = page.evaluate("async () => (await import('/static/js/job-state.js')).STEPS")
        there = {kind: [step.name for step in pipeline.steps] for kind, pipeline in PIPELINES.items()}
        assert {kind: list(steps) for kind, steps in known.items()} == there

    def test_what_was_seen_before_and_what_is_unknown_changes_nothing(self, page: Page) -> None:
        states = self.fold(page, [*STORY, STORY[1], CREATED, event(5, "job_admired")])
        assert [state["same"] for state in states] == [False] * 4 + [True, True, False]
        assert {**states[6], "seq": 4, "same": False} == states[3]

    def test_steps_are_done_running_and_waiting(self, page: Page) -> None:
        state = self.fold(page, STORY)[-1]
        assert [one["state"] for one in state["steps"]] == ["done", "running", *["waiting"] * 4]
        assert (state["jobType"], state["status"], state["progress"]) == ("course", "processing", 10)
        assert state["steps"][0]["seconds"] == 2.5

    def test_progress_never_falls_within_a_run_and_may_in_the_next(self, page: Page) -> None:
        back = step(5, "fill", 1, "progress", 4)
        again = event(6, "job_retrying", step="fill", attempt=2, nextRunAt="2026-11-21T10:00:00Z", error=None)
        states = self.fold(page, [*STORY, back, again, step(7, "fill", 1, "started", 4)])
        assert [state["progress"] for state in states[3:]] == [10, 10, 10, 4]
        assert states[5]["run"] == 2 and states[5]["status"] == "pending"

    def test_what_runs_side_by_side_is_told_one_at_a_time(self, page: Page) -> None:
        topics = [
            {"topicName": name, "topicIndex": at, "totalTopics": 2, "progress": 20} for at, name in ((1, "A"), (2, "B"))
        ]
        done = {**topics[1], "itemsGenerated": 12, "lessonsGenerated": 0, "duration": 1}
        more = [event(5, "topic_started", **topics[0]), event(6, "topic_started", **topics[1])]
        states = self.fold(page, [*STORY, *more, event(7, "topic_completed", **done)])
        assert [state["topic"]["name"] for state in states[4:]] == ["A", "B", "A"]

    def test_a_failure_is_kept_until_somebody_tries_again(self, page: Page) -> None:
        again = event(6, "job_retrying", step="fill", attempt=1, nextRunAt="2026-11-21T10:00:00Z", error=None)
        states = self.fold(page, [*STORY, FAILED, again])
        assert states[4]["over"] and states[4]["error"]["message"] == "The key is wrong."
        assert states[4]["steps"][1]["state"] == "failed"
        assert not states[5]["over"] and states[5]["error"] is None
        assert [one["state"] for one in states[5]["steps"]] == ["done", *["waiting"] * 5]

    def test_pictures_keep_a_finished_job_open(self, page: Page) -> None:
        end = event(5, "job_completed", courseId="a-course", totalDuration=9.0, mediaPending=2)
        one = event(6, "media_completed", mediaJobId="m", targetRef={}, url="/x", revision=2)
        states = self.fold(page, [*STORY, end, one, event(7, "media_settled", completed=1, failed=1)])
        assert [(state["mediaPending"], state["over"]) for state in states[4:]] == [(2, False), (1, False), (0, True)]
        assert states[4]["progress"] == 100 and {one["state"] for one in states[4]["steps"]} == {"done"}

    def test_a_snapshot_stands_in_for_what_is_no_longer_kept(self, page: Page) -> None:
        job = {
            **{"jobType": "course", "status": "failed", "runNumber": 3, "progress": 40, "progressMessage": "Stopped"},
            **{"currentStepIndex": 1, "totalSteps": 6, "currentTopic": None, "mediaPending": 0, "courseId": "a-course"},
            **{"error": {"code": "x", "message": "Why", "step": "fill"}, "createdAt": "2026-11-21T10:00:00Z"},
        }
        [state] = self.fold(page, [{"type": "job_snapshot", "job": job}])
        assert (state["status"], state["seq"], state["over"], state["error"]["message"]) == ("failed", 0, True, "Why")
        assert [one["state"] for one in state["steps"]] == ["done", "failed", *["waiting"] * 4]

    def test_text_grows_and_is_gone_when_its_step_is_over(self, page: Page) -> None:
        delta = {"type": "content_delta", "jobId": "a-job", "step": "fill", "part": "text:t1", "text": "Water "}
        grown = [*STORY, delta, {**delta, "text": "rises."}]
        states = self.fold(page, [*grown, step(5, "fill", 1, "completed", 70, duration=3)])
        assert states[5]["texts"] == {"text:t1": "Water rises."} and states[5]["seq"] == 4
        assert states[6]["texts"] == {}


def test_text_that_grows_is_drawn_from_the_beginning_of_a_word_and_time_in_round_numbers(page: Page) -> None:
    grown = [{"type": "content_delta", "part": "text:t1", "text": "begin " * 60 + "*and*\n\n## the [blank] end"}]
    page.evaluate(
        """async (events) => {
          const { fresh, fold } = await import("/static/js/job-state.js");
          await import("/static/js/generation-progress.js");
          const element = document.createElement("generation-progress");
          document.body.append(element);
          await element.updateComplete;
          element.state = events.reduce(fold, fresh("a-job"));
          element.secondsLeft = 42;
          await element.updateComplete;
        }""",
        [*STORY, *grown],
    )
    words = str(page.locator(".writing").text_content())
    assert words.startswith("… begin ") and words.endswith("and\nthe ____ end")
    assert page.get_by_role("progressbar").get_attribute("aria-valuenow") == "10"
    assert page.locator("[part=time-left]").text_content() == "about 40 s left"


#: An element before a server that answers from ``window.job``, and a stream that never says anything.
ALONE = """async ({ events, job }) => {
  const { GenerationProgress } = await import("/static/js/generation-progress.js");
  Object.assign(window, { job, reads: 0 });
  window.fetch = async (url) => {
    if (String(url).includes("/events")) return new Response(JSON.stringify({ events }));
    if (String(url).endsWith("/partial")) return new Response(JSON.stringify({ topics: window.topics ?? [] }));
    window.reads += 1;
    return new Response(JSON.stringify({ job: window.job }));
  };
  window.EventSource = class extends EventTarget {
    constructor() { super(); setTimeout(() => this.dispatchEvent(new Event("open"))); }
    close() {}
  };
  const element = new GenerationProgress();
  element.jobId = "a-job";
  document.body.append(element);
}"""


class TestElement:
    job: dict[str, Any] = {"jobType": "course", "totalSteps": 6, "payload": {}, "estimatedSecondsLeft": None}

    def test_of_a_course_that_failed_every_problem_is_told(self, page: Page) -> None:
        error = {"code": "validation_failed", "message": "2 problems are left.", "step": "validate"}
        failed = {**FAILED, "error": {name: error[name] for name in ("code", "message")}, "failedStep": "fill"}
        problems = [{"code": "math_incorrect", "message": "2 + 2 is not 5."}, {"code": "x", "message": "Said twice."}]
        problems.append({"code": "negative_stem", "message": "It asks what is not.", "severity": "warning"})
        job = {**self.job, "error": {**error, "details": {"problems": problems}}}
        page.evaluate(ALONE, {"events": [*STORY, failed], "job": job})
        page.get_by_text("2 + 2 is not 5.").wait_for()
        assert page.locator("[part=error] li").all_text_contents() == ["2 + 2 is not 5.", "Said twice."]

    def test_when_the_time_is_over_that_was_likely_it_asks_what_is_now(self, page: Page) -> None:
        page.evaluate(ALONE, {"events": STORY, "job": {**self.job, "estimatedSecondsLeft": 2}})
        page.get_by_text("about 2 s left").wait_for()
        page.evaluate("window.job = { ...window.job, estimatedSecondsLeft: 30 }")
        page.get_by_text("about 30 s left").wait_for()
        assert page.evaluate("window.reads") == 2

    def test_what_grows_of_a_topic_is_shown_beside_its_finished_lessons(self, page: Page) -> None:
        steps = {"step": "lessons", "stepIndex": 3, "totalSteps": 7, "message": "Writing", "progress": 20}
        begun = event(2, "step_started", **steps)
        topic = {"topicName": "Law", "topicIndex": 1, "totalTopics": 1, "progress": 30, "lessonsGenerated": 1}
        job = {**self.job, "jobType": "exam_course", "totalSteps": 7}
        page.evaluate("window.topics = [{ id: 't1', name: 'Law', lessons: [{ title: 'Finished one' }] }]")
        page.evaluate(ALONE, {"events": [CREATED, begun, event(3, "topic_progress", **topic)], "job": job})
        page.get_by_text("Finished one").wait_for()
        grown = {"type": "content_delta", "part": "topic:t1", "text": "The next one grows"}
        page.evaluate(
            """async (delta) => {
              const { fold } = await import("/static/js/job-state.js");
              const element = document.querySelector("generation-progress");
              element.state = fold(element.state, delta);
            }""",
            grown,
        )
        page.get_by_text("The next one grows").wait_for()


def facts(*numbers: int) -> list[dict[str, int]]:
    return [{"seq": number} for number in numbers]


class TestConnection:
    def connect(self, page: Page, known: int = 0, *, blocked: bool = False, canPoll: bool = True) -> None:  # noqa: N803
        page.evaluate(CONNECT, {"events": facts(*range(1, known + 1)), "blocked": blocked, "canPoll": canPoll})

    def taken(self, page: Page) -> list[int]:
        return [int(event["seq"]) for event in page.evaluate("window.taken")]

    def is_so(self, page: Page, what: str) -> None:
        eventually(lambda: page.evaluate(what), what=what)

    def test_what_happened_is_read_at_once_and_what_comes_is_streamed(self, page: Page) -> None:
        self.connect(page, 8)
        self.is_so(page, "window.states.at(-1) === 'live'")
        assert page.evaluate("window.opened.map((one) => one.after)") == [8]
        page.evaluate("(() => { server.push({seq: 9}); streams[0].flush(); })()")
        assert self.taken(page) == [*range(1, 10)]
        assert page.evaluate("window.states") == ["connecting", "live"]

    def test_a_broken_one_comes_back_later_and_later_from_where_it_was(self, page: Page) -> None:
        self.connect(page, 2)
        self.is_so(page, "window.states.at(-1) === 'live'")
        page.evaluate("""(() => {
          server.push({seq: 3}); streams[0].flush(); window.pollFails = 503;
          const opens = window.EventSource.prototype.open;
          window.EventSource.prototype.open = function () { this.fail(0); };
          window.again = () => { window.EventSource.prototype.open = opens; window.pollFails = 0; };
          streams[0].fail(0);
        })()""")
        self.is_so(page, "window.opened.length >= 4")
        assert page.evaluate("window.states.at(-1)") == "reconnecting"
        page.evaluate("(() => { server.push({seq: 4}); again(); })()")
        self.is_so(page, "window.states.at(-1) === 'live' && window.taken.length === 4")
        opened = page.evaluate("window.opened")
        assert [one["after"] for one in opened][:4] == [2, 3, 3, 3]
        gaps = [later["at"] - earlier["at"] for earlier, later in pairwise(opened[1:])]
        # 4 and 8 seconds of 20 ms each, and up to a quarter more; a busy machine adds to that, but never takes away.
        assert gaps[0] >= 80 and gaps[1] >= 160
        assert self.taken(page) == [1, 2, 3, 4]

    def test_events_in_the_wrong_order_twice_or_with_a_gap_come_once_and_in_order(self, page: Page) -> None:
        self.connect(page, 2)
        self.is_so(page, "window.states.at(-1) === 'live'")
        page.evaluate("""(() => {
          server.push({seq: 3}, {seq: 4}, {seq: 5}, {seq: 6});
          for (const seq of [5, 2, 3, 3, 6]) streams[0].send({seq});
        })()""")
        self.is_so(page, "window.taken.length === 6")
        assert self.taken(page) == [1, 2, 3, 4, 5, 6]

    def test_a_stream_that_is_held_back_somewhere_is_noticed(self, page: Page) -> None:
        self.connect(page, 1)
        self.is_so(page, "window.states.at(-1) === 'live'")
        page.evaluate("(() => { streams[0].flush = () => {}; server.push({seq: 2}); })()")
        self.is_so(page, "window.states.at(-1) === 'polling'")
        page.evaluate("(() => { server.push({seq: 3}); })()")
        self.is_so(page, "window.taken.length === 3")

    def test_one_that_never_opens_is_replaced_by_polling(self, page: Page) -> None:
        self.connect(page, 1, blocked=True)
        self.is_so(page, "window.streams.length === 1")
        page.evaluate("streams[0].fail(0)")
        self.is_so(page, "window.streams.length === 2")
        page.evaluate("(() => { server.push({seq: 2}); streams[1].fail(0); })()")
        self.is_so(page, "window.states.at(-1) === 'polling' && window.taken.length === 2")

    def test_where_nothing_can_be_asked_it_says_that_it_reconnects(self, page: Page) -> None:
        self.connect(page, 0, blocked=True, canPoll=False)
        for number in range(1, 5):
            self.is_so(page, f"window.streams.length === {number}")
            page.evaluate("streams.at(-1).fail(0)")
        self.is_so(page, "window.streams.length === 5")
        assert page.evaluate("window.states") == ["connecting", "reconnecting"]

    def test_the_end_is_the_end(self, page: Page) -> None:
        self.connect(page, 2)
        self.is_so(page, "window.states.at(-1) === 'live'")
        # The server answers 204 to who comes back after the end.
        page.evaluate("(() => { window.over = true; streams[0].fail(2); })()")
        self.is_so(page, "window.states.at(-1) === 'ended'")
        opened = page.evaluate("window.opened.length")
        page.evaluate("new Promise((resolve) => setTimeout(resolve, 400))")  # twenty of these seconds
        assert page.evaluate("window.opened.length") == opened == 1

    def test_the_end_may_turn_out_to_be_none(self, page: Page) -> None:
        self.connect(page, 2)
        self.is_so(page, "window.states.at(-1) === 'live'")
        page.evaluate("(() => { window.over = window.goesOn = true; streams[0].fail(0); })()")
        self.is_so(page, "window.states.at(-1) === 'ended'")
        page.evaluate("(() => { server.push({seq: 3}); window.over = false; })()")
        self.is_so(page, "window.states.at(-1) === 'live' && window.taken.length === 3")

    def test_who_may_not_see_it_is_not_let_try_for_ever(self, page: Page) -> None:
        self.connect(page, 1)
        self.is_so(page, "window.states.at(-1) === 'live'")
        page.evaluate("(() => { window.pollFails = 401; streams[0].readyState = 0; streams[0].fail(0); })()")
        self.is_so(page, "window.streams.length === 2")
        page.evaluate("(() => { for (const one of streams) { one.open = () => {}; } })()")
        page.evaluate(
            "(() => { window.EventSource.prototype.open = function () { this.fail(2); }; streams[1].fail(2); })()"
        )
        self.is_so(page, "window.states.at(-1) === 'refused'")

    def test_no_stream_is_held_open_where_nobody_looks(self, page: Page) -> None:
        self.connect(page, 1)
        self.is_so(page, "window.states.at(-1) === 'live'")
        page.evaluate("""(() => {
          Object.defineProperty(document, "hidden", { configurable: true, get: () => window.away });
          window.away = true; document.dispatchEvent(new Event("visibilitychange"));
        })()""")
        self.is_so(page, "window.streams[0].readyState === 2")
        page.evaluate("server.push({seq: 2})")
        self.is_so(page, "window.taken.length === 2")
        assert page.evaluate("window.streams.length") == 1
        page.evaluate("(() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')); })()")
        self.is_so(page, "window.states.at(-1) === 'live' && window.streams.length === 2")


#: A catalog client before a server that answers from ``window.kept``, and a stream that sends what it is told.
CATALOG = """async () => {
  const { CatalogClient } = await import("/static/js/catalog-client.js");
  const entry = (id) => ({ id, title: id.toUpperCase() });
  Object.assign(window, { version: 5, kept: ["a", "b"], log: [], asked: [], streams: [] });
  window.since = () => ({ reset: true });
  window.fetch = async (url) => {
    asked.push(String(url));
    const answer = String(url).includes("/changes") ? since() : { version, courses: kept.map(entry) };
    return new Response(JSON.stringify(answer));
  };
  window.EventSource = class extends EventTarget {
    constructor(url) {
      super();
      this.url = url;
      streams.push(this);
      setTimeout(() => this.dispatchEvent(new Event("open")));
    }
    send(type, body) {
      const data = JSON.stringify({ type, ...body });
      this.dispatchEvent(Object.assign(new Event(type), { data }));
    }
    close() {}
  };
  window.change = (catalogVersion, action, id) => {
    const after = action === "deleted" ? null : entry(id);
    streams.at(-1).send("catalog_updated", { catalogVersion, action, courseId: id, entry: after });
  };
  window.catalog = new CatalogClient({
    onSnapshot: (courses) => log.push(["snapshot", ...courses.keys()]),
    onChanges: (changes) => log.push(...changes.map((one) => [one.action, one.courseId, one.before?.title ?? null])),
  }, { second: 20 });
  catalog.start();
}"""


class TestCatalog:
    def is_so(self, page: Page, what: str) -> None:
        eventually(lambda: page.evaluate(what), what=what)

    def shown(self, page: Page) -> list[str]:
        ids: list[str] = page.evaluate("[...catalog.courses.keys()].sort()")
        return ids

    def test_one_snapshot_and_then_changes_only(self, page: Page) -> None:
        page.evaluate(CATALOG)
        self.is_so(page, "streams.length === 1")
        assert page.evaluate("streams[0].url").endswith("/api/catalog/stream?lastEventId=5")
        page.evaluate("(() => { change(6, 'added', 'c'); change(7, 'updated', 'a'); change(8, 'deleted', 'b'); })()")
        page.evaluate("(() => { change(7, 'updated', 'a'); change(6, 'added', 'c'); })()")
        assert self.shown(page) == ["a", "c"] and page.evaluate("catalog.version") == 8
        told = [["snapshot", "a", "b"], ["added", "c", None], ["updated", "a", "A"], ["deleted", "b", "B"]]
        assert page.evaluate("log") == told
        assert page.evaluate("asked") == ["/api/catalog"]

    def test_a_missing_version_is_asked_for(self, page: Page) -> None:
        page.evaluate(CATALOG)
        self.is_so(page, "streams.length === 1")
        page.evaluate("""(() => {
          window.since = () => ({ version: 7, changes: [
            { version: 6, action: "added", courseId: "c", entry: { id: "c", title: "C" } },
            { version: 7, action: "deleted", courseId: "a", entry: null }] });
          change(7, "deleted", "a");
        })()""")
        self.is_so(page, "catalog.version === 7")
        assert self.shown(page) == ["b", "c"]
        assert page.evaluate("asked") == ["/api/catalog", "/api/catalog/changes?since=5"]

    def test_where_changes_cannot_be_told_it_is_read_anew(self, page: Page) -> None:
        page.evaluate(CATALOG)
        self.is_so(page, "streams.length === 1")
        page.evaluate("""(() => {
          Object.assign(window, { version: 900, kept: ["x"] });
          streams[0].send("reset", { catalogVersion: 900 });
        })()""")
        self.is_so(page, "catalog.version === 900 && streams.length === 2")
        assert self.shown(page) == ["x"]
        assert page.evaluate("streams[1].url").endswith("lastEventId=900&reconnect=yes")
        # The same when a window comes back to a server that has forgotten that far.
        page.evaluate(
            "(() => { Object.assign(window, { version: 3, kept: ['y'] }); dispatchEvent(new Event('online')); })()"
        )
        self.is_so(page, "catalog.version === 3 && streams.length === 3")
        assert self.shown(page) == ["y"]

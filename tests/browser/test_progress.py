"""Watching a course being made: every step of it, whatever happens to the window, the network and the server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Page, Route, expect

from tests.acceptance.conftest import System
from tests.browser.conftest import Opens, Window
from tests.conftest import eventually
from tests.fakes.model_server import ModelServer

STEPS = ["Plan the course", "Write items and texts", "Check every item", "Save the course", "List it in the catalog"]
#: Long enough for anything a test does meanwhile, in seconds; ``release`` ends it.
HELD = 40.0


def watched(page: Page) -> list[dict[str, Any]]:
    """Every state that elements on this page fold from now on, also when the page goes on to another one."""
    states: list[dict[str, Any]] = []
    page.expose_function("told", lambda state: states.append(state))
    page.add_init_script("addEventListener('progressed', (event) => told(event.detail), true)")
    return states


def ask_for(page: Page, subject: str) -> None:
    """Fill in the form of a new course and send it."""
    page.goto("/new")
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Grade band").fill("6-8")
    page.get_by_role("button", name="Make the course").click()


def asked(system: System, subject: str) -> str:
    """A job for a course that needs the model."""
    return system.start_course(subject=subject, gradeBand="6-8")


def percent(page: Page) -> int:
    return int(page.get_by_role("progressbar").get_attribute("aria-valuenow") or 0)


def events_of(system: System, job_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = system.call("GET", f"/api/jobs/{job_id}/events?after=0").json()["events"]
    return found


def state_of(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.locator("generation-progress").evaluate("(element) => element.state")
    return found


def test_all_steps_are_watched_to_the_course_that_can_be_read(
    opens: Opens, system: System, model: ModelServer, pictures: Path
) -> None:
    model.pace = 0.02
    page = opens().page
    states = watched(page)
    ask_for(page, "Suspension bridges")
    dialog = page.get_by_role("dialog", name="Progress of Suspension bridges")
    expect(dialog.get_by_text("Live", exact=True)).to_be_visible()
    expect(dialog.get_by_role("listitem").filter(has_text="Write items and texts, running")).to_be_visible()
    expect(dialog.get_by_text("Generating:")).to_have_text(re.compile(r"Generating: .+ \(\d/4\)"))
    page.screenshot(path=pictures / "progress.png")
    page.wait_for_url("**/courses/suspension-bridges-*")

    assert [step["label"] for step in states[-1]["steps"]][:5] == STEPS
    assert {step["state"] for step in states[-1]["steps"]} == {"done"}
    running = [step["label"] for state in states for step in state["steps"] if step["state"] == "running"]
    assert list(dict.fromkeys(running)) == [*STEPS, "Order pictures"]
    progress = [state["progress"] for state in states]
    assert progress == sorted(progress) and progress[-1] == 100
    assert [state["seq"] for state in states] == sorted(state["seq"] for state in states)
    assert states[-1]["seq"] == len(events_of(system, states[-1]["jobId"]))
    # Text came while it was being written.
    assert any(text for state in states for text in state["texts"].values())

    expect(page.get_by_role("heading", level=1)).to_contain_text("Suspension bridges")
    expect(page.get_by_role("heading", name="What there is to know").first).to_be_visible()
    answer = page.locator(".answer").first
    expect(answer.locator("strong")).to_be_hidden()
    answer.get_by_text("Show the answer").click()
    expect(answer.locator("strong")).not_to_be_empty()
    assert "[SECTION" not in page.content() and "[blank]" not in page.content()
    page.screenshot(path=pictures / "course.png")


def test_a_cancelled_one_stops_and_goes_on_from_there(opens: Opens, system: System, model: ModelServer) -> None:
    model.script([{"fault": "slow", "purpose": "items", "seconds": HELD}])
    job_id = asked(system, "Cancelled midway")
    page = opens(f"/jobs/{job_id}").page
    expect(page.get_by_text("Generating:")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    # Who changes their mind, by key or by button, has changed nothing.
    expect(page.get_by_role("button", name="Keep going")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    assert system.job(job_id)["status"] == "processing"
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop it").click()
    expect(page.get_by_text("What was finished is kept.")).to_be_visible()
    expect(page.get_by_text("The work goes on")).to_be_hidden()
    assert system.job(job_id)["status"] == "cancelled"
    kept = percent(page)
    assert 0 < kept < 100
    page.get_by_role("button", name="Take it up again").click()
    page.wait_for_url("**/courses/cancelled-midway-*")
    assert len(model.calls("plan")) == 1


def test_closed_and_opened_again_it_has_gone_on(opens: Opens, system: System, model: ModelServer) -> None:
    model.script([{"fault": "slow", "purpose": "items", "seconds": HELD}])
    first = opens()
    ask_for(first.page, "Left alone")
    first.page.get_by_role("button", name="Close").click()
    expect(first.page.get_by_role("dialog")).to_have_count(0)
    expect(first.page.get_by_label("Subject")).to_have_value("Left alone")
    expect(first.page.locator("#running")).to_contain_text("1")
    # The same window asks for another one meanwhile, and each goes its own way. The first is planned by then: else it
    # would be the one whose plan is slow.
    assert model.wait_for(lambda calls: any(call.purpose == "items" for call in calls), 60)
    model.script([{"fault": "slow", "purpose": "plan", "seconds": HELD}])
    first.page.get_by_label("Subject").fill("Side by side")
    first.page.get_by_role("button", name="Make the course").click()
    expect(first.page.get_by_role("dialog").get_by_text("Planning the course")).to_be_visible()
    expect(first.page.locator("#running")).to_contain_text("2")
    first.context.close()

    later = opens("/jobs").page
    expect(later.get_by_role("listitem").filter(has_text="Side by side")).to_contain_text("at work")
    expect(later.get_by_role("listitem").filter(has_text="Left alone")).to_contain_text("at work")
    later.get_by_role("link", name="Left alone").click()
    expect(later.get_by_text("Generating:")).to_be_visible()
    model.release()
    later.wait_for_url("**/courses/left-alone-*")
    # And what is over is still shown the next day, without being pushed away from it.
    later.goto("/jobs")
    later.get_by_role("link", name="Left alone").first.click()
    expect(later.get_by_text("Done in")).to_be_visible()
    expect(later.get_by_role("link", name="Open the course")).to_be_visible()


def test_the_network_may_go_and_come_back(opens: Opens, system: System, model: ModelServer, pictures: Path) -> None:
    model.script([{"fault": "slow", "purpose": "items", "seconds": HELD}])
    window = opens()
    window.may_break = True
    page = window.page
    states = watched(page)
    job_id = asked(system, "Without a network")
    page.goto(f"/jobs/{job_id}")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    window.context.set_offline(True)
    expect(page.get_by_text("Offline", exact=True)).to_be_visible()
    page.screenshot(path=pictures / "offline.png")
    model.release()
    system.finished(job_id)
    assert state_of(page)["status"] != "done"
    window.context.set_offline(False)
    page.wait_for_url("**/courses/without-a-network-*")
    assert states[-1]["status"] == "done" and states[-1]["seq"] == len(events_of(system, job_id))


def test_the_server_may_die_and_come_back(opens: Opens, system: System, model: ModelServer) -> None:
    model.script([{"fault": "slow", "purpose": "items", "seconds": HELD}])
    window = opens()
    window.may_break = True
    page = window.page
    job_id = asked(system, "While the server dies")
    page.goto(f"/jobs/{job_id}")
    expect(page.get_by_text("Generating:")).to_be_visible()
    web = psutil.Process(system.pids()["web"])
    for process in (web, *web.children(recursive=True)):
        process.kill()
    expect(page.get_by_text("Reconnecting", exact=True)).to_be_visible()
    model.release()
    page.wait_for_url("**/courses/while-the-server-dies-*", timeout=60_000)
    assert system.job(job_id)["status"] == "done"


def test_a_wrong_key_is_told_as_it_is_and_mended(
    opens: Opens, system: System, model: ModelServer, pictures: Path
) -> None:
    model.script([{"fault": "401", "purpose": "items", "times": 2}])
    job_id = asked(system, "With a wrong key")
    page = opens(f"/jobs/{job_id}").page
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("model_unauthorized")
    expect(alert).to_contain_text("“Write items and texts”")
    assert str(system.job(job_id)["error"]["message"]) in (alert.text_content() or "")
    expect(page.get_by_role("listitem").filter(has_text="Plan the course, done")).to_be_visible()
    page.screenshot(path=pictures / "failed.png")
    model.forget(faults=True)
    page.get_by_role("button", name="Try again from here").click()
    page.wait_for_url("**/courses/with-a-wrong-key-*")
    assert len(model.calls("plan")) == 1


def test_two_windows_see_the_same(opens: Opens, system: System, model: ModelServer) -> None:
    model.script([{"fault": "slow", "purpose": "items", "seconds": HELD}])
    job_id = asked(system, "Seen twice")
    one, other = opens(f"/jobs/{job_id}").page, opens(f"/jobs/{job_id}", color_scheme="dark").page
    for page in (one, other):
        expect(page.get_by_text("Generating:")).to_be_visible()
    one.get_by_role("button", name="Cancel").click()
    one.get_by_role("button", name="Stop it").click()
    for page in (one, other):
        expect(page.get_by_text("What was finished is kept.")).to_be_visible()
    facts = ("status", "seq", "progress", "steps", "reason", "message")
    assert {name: state_of(one)[name] for name in facts} == {name: state_of(other)[name] for name in facts}
    # What was over in the other window begins again there when somebody takes it up here.
    one.get_by_role("button", name="Take it up again").click()
    eventually(lambda: system.job(job_id)["status"] != "cancelled")
    other.evaluate("dispatchEvent(new Event('online'))")  # or else it looks again after five seconds
    for page in (one, other):
        page.wait_for_url("**/courses/seen-twice-*")


def test_where_streams_are_blocked_it_asks_instead(opens: Opens, system: System, model: ModelServer) -> None:
    model.script([{"fault": "slow", "purpose": "items", "seconds": HELD}])
    window = opens()
    window.may_break = True
    page = window.page
    page.route("**/stream?*", lambda route: route.abort())
    page.goto(f"/jobs/{asked(system, 'Without a stream')}")
    expect(page.get_by_text("Every 2 seconds", exact=True)).to_be_visible()
    model.release()
    page.wait_for_url("**/courses/without-a-stream-*")


def test_sending_twice_makes_one_job(opens: Opens, system: System) -> None:
    window = opens("/new")
    window.may_break = True
    page = window.page
    page.get_by_label("Subject").fill("Clicked twice")
    page.get_by_label("Grade band").fill("6-8")

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    # The person learns nothing of the first time, and sends it again.
    page.route("**/api/jobs", lose_the_answer, times=1)
    page.get_by_role("button", name="Make the course").dblclick()
    expect(page.get_by_role("alert")).to_contain_text("The server can't be reached just now.")
    page.get_by_role("button", name="Make the course").dblclick()
    expect(page.get_by_role("dialog", name="Progress of Clicked twice")).to_be_visible()
    jobs = system.call("GET", "/api/jobs?jobType=course&limit=200").json()["jobs"]
    assert [job["payload"]["subject"] for job in jobs].count("Clicked twice") == 1


def test_what_is_not_there_is_a_page_with_the_way_back(opens: Opens) -> None:
    window = opens()
    window.may_break = True
    page = window.page
    for path in ("/jobs/none", "/courses/none", "/jobs/00000000-0000-4000-8000-000000000000", "/nowhere"):
        answer = page.goto(path)
        assert answer is not None and answer.status == 404 and answer.headers["content-security-policy"]
        expect(page.get_by_role("heading", level=1)).to_have_text(
            "There is no such thing" if path != "/nowhere" else "Not Found"
        )
        page.get_by_role("link", name="Courses", exact=True).click()
        page.wait_for_url("**/catalog")


def test_who_is_not_signed_in_is_told_how(opens: Opens) -> None:
    window: Window = opens(storage_state=None)
    window.may_break = True
    window.page.goto("/catalog")
    expect(window.page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    eventually(lambda: window.page.get_by_role("navigation").count() == 0)

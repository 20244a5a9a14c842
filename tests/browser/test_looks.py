"""Every page in every light and at every width: nothing is cut off, everything is named. And the element elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.conftest import System
from tests.browser.conftest import Opens
from tests.fakes.model_server import ModelServer

KINDS: dict[str, dict[str, Any]] = {
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
}

#: Elements that stick out of the page, or whose words are cut off although nothing says that they may be.
CUT_OFF = """() => {
  const found = [];
  const inside = (one) => [one, ...(one.shadowRoot?.querySelectorAll("*") ?? [])];
  const all = [...document.querySelectorAll("body *")].flatMap(inside);
  for (const one of all) {
    const style = getComputedStyle(one), box = one.getBoundingClientRect();
    if (!box.width || style.visibility === "hidden" || style.clipPath !== "none" || one.closest("svg")) continue;
    if (one.parentElement && getComputedStyle(one.parentElement).overflowX === "hidden") continue;
    if (box.right > innerWidth + 1 || box.left < -1) found.push(`outside: ${one.outerHTML.slice(0, 80)}`);
    const clips = style.overflowX === "hidden" && style.textOverflow !== "ellipsis" && one.innerText;
    if (clips && one.scrollWidth > one.clientWidth + 1) found.push(`cut: ${one.outerHTML.slice(0, 80)}`);
  }
  return found;
}"""

#: What can be used without having a name, and pictures without words.
NAMELESS = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), select, textarea, img")]
  .filter((one) => one.checkVisibility())
  .filter((one) => one.tagName === "IMG" ? !one.hasAttribute("alt")
    : !(one.innerText?.trim() || one.getAttribute("aria-label") || one.labels?.length || one.querySelector("img[alt]")))
  .map((one) => one.outerHTML.slice(0, 120))"""


def look_at(page: Page, place: Path) -> None:
    """Take a picture of the whole page, and see that nothing is wrong with it that a machine can see."""
    page.screenshot(path=place)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate(NAMELESS) == []
    assert page.locator("html[lang=en]").count() == 1 and page.locator("h1, generation-progress h2").count() >= 1
    assert page.title().endswith("Coursewright") and page.locator("link[rel=icon]").count() == 1


def test_pages(opens: Opens, system: System, model: ModelServer, pictures: Path) -> None:
    ready = system.finished(
        system.start_course(subject="Water cycle", title="A course with quite a long title that needs two lines")
    )
    model.script([{"fault": "slow", "purpose": "items", "seconds": 40}])
    busy = system.start_course(subject="Lighthouses on rocky coasts", gradeBand="6-8")
    pages = {kind: opens(**options).page for kind, options in KINDS.items()}
    for name, path in (
        ("catalog", "/catalog"),
        ("new", "/new"),
        ("new-exam", "/new?from=exam"),
        ("jobs", "/jobs"),
        ("errors", "/docs/errors"),
        ("read", f"/courses/{ready['courseId']}"),
        ("job", f"/jobs/{busy}"),
    ):
        for kind, page in pages.items():
            page.goto(path)
            if name == "job":
                expect(page.get_by_text("Generating:")).to_be_visible()
            look_at(page, pictures / f"{kind}-{name}.png")
    system.call("POST", f"/api/jobs/{busy}/cancel", {})


def test_what_unfolds_on_a_phone(opens: Opens, system: System, model: ModelServer, pictures: Path) -> None:
    model.script([{"fault": "slow", "purpose": "plan", "seconds": 40}])
    page = opens("/new", **KINDS["phone"]).page
    page.get_by_text("More", exact=True).click()
    look_at(page, pictures / "phone-more.png")
    page.get_by_label("Subject").fill("Harbours")
    page.get_by_label("Grade band").fill("6-8")
    page.get_by_role("button", name="Make the course").click()
    expect(page.get_by_role("dialog").get_by_text("Planning the course")).to_be_visible()
    look_at(page, pictures / "phone-dialog.png")
    assert page.locator("dialog").evaluate("(one) => one.scrollHeight <= one.clientHeight"), "all of it is in sight"
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Keep going")).to_be_focused()
    look_at(page, pictures / "phone-sure.png")
    # What stays at the bottom of the dialog covers nothing that one has to press.
    button, foot = page.get_by_role("button", name="Keep going").bounding_box(), page.locator(".after").bounding_box()
    assert button and foot and button["y"] + button["height"] <= foot["y"]
    page.get_by_role("button", name="Stop it").click()
    expect(page.get_by_text("What was finished is kept.")).to_be_visible()
    expect(page.get_by_role("heading", name="Harbours")).to_be_in_viewport()
    look_at(page, pictures / "phone-cancelled.png")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A site of somebody else, and the folder it serves."""
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}", tmp_path
        server.shutdown()
        thread.join()


def test_the_element_works_on_a_page_of_another_site(
    opens: Opens, system: System, model: ModelServer, elsewhere: tuple[str, Path]
) -> None:
    host, folder = elsewhere
    model.latency = 0.3
    asked = {"jobType": "course", "payload": {"subject": "Embedded", "gradeBand": "6-8", "mode": "options"}}
    started = system.call("POST", "/api/jobs", asked).json()
    (folder / "index.html").write_text(
        f"""<!doctype html><html lang="en"><title>Elsewhere</title><link rel="icon" href="data:,">
        <script type="module" src="{system.url}/static/js/generation-progress.js"></script>
        <generation-progress job-id="{started["jobId"]}" stream-url="{system.url}{started["streamUrl"]}"
          heading="Our course"></generation-progress>
        <script>addEventListener("completed", (event) => document.title = event.detail.courseId)</script>"""
    )
    window = opens(storage_state=None)
    window.may_ask(host)
    window.page.goto(f"http://{host}/")
    expect(window.page.get_by_role("heading", name="Our course")).to_be_visible()
    expect(window.page.get_by_text("Done in")).to_be_visible()
    expect(window.page).to_have_title(system.job(started["jobId"])["courseId"])
    # Nobody there is signed in, so nobody is offered what they could not do.
    expect(window.page.get_by_role("button")).to_have_count(0)

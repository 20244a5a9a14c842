"""What a model or a person writes is words. It is put wherever words can stand, and shown in pages whose content
security policy is switched off: what is not taken for words would run, call out, or lead away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from schema.events import Event
from schema.settings import read_settings
from storage import documents, events
from storage.catalog import Listing
from storage.documents import Author
from tasks.deps import Deps
from tasks.listing import list_course
from tests import factories
from tests.acceptance.conftest import System
from tests.browser.conftest import Opens, Window
from tests.conftest import Outbox, make_deps
from tests.fakes.attacks import ATTACKS
from tests.integration.stage import put_job

ALL = "\n\n".join(ATTACKS)
COURSE = "untrusted-course"

#: What stands in a page that could run or lead away: elements, attributes, addresses.
_LOOK = """() => {
  const found = [];
  const everything = (root) =>
    [...root.querySelectorAll("*")].flatMap((one) => (one.shadowRoot ? [one, ...everything(one.shadowRoot)] : [one]));
  const own = (address) => address.startsWith(`${location.origin}/static/`);
  const leads = (address) => new URL(address, location);
  for (const one of everything(document)) {
    const name = one.localName;
    const tell = (what) => found.push(`${name} ${what}`);
    if (["iframe", "object", "embed", "base", "math", "foreignobject", "animate", "style"].includes(name)) tell("");
    if (name === "script" && (!own(one.src) || one.textContent)) tell(one.outerHTML);
    if (name === "link" && !own(one.href)) tell(one.href);
    if (name === "form" && leads(one.action).origin !== location.origin) tell(one.action);
    for (const { name: attribute, value } of one.attributes) {
      if (/^on/.test(attribute) || ["srcdoc", "formaction"].includes(attribute)) tell(attribute);
      if (attribute === "style" && one.className !== "fill") tell(attribute);
      if (attribute === "src" && leads(value).origin !== location.origin) tell(value);
      if (/href$/.test(attribute) && !["http:", "https:", "mailto:"].includes(leads(value).protocol)) tell(value);
    }
  }
  return found;
}"""


@pytest.fixture(scope="module")
def behind(system: System) -> Iterator[Deps]:
    """What stands behind the running system, for writing what its own doors would never let in."""
    environment = json.loads((system.home / "run" / "environment.json").read_text())
    deps = make_deps(read_settings({**environment, "LOG_LEVEL": "ERROR"}), Outbox())
    yield deps
    deps.close()


def hostile_course() -> dict[str, Any]:
    """A course with every attack in every place, each cut to what the place holds."""
    items = [
        factories.option_item(
            number,
            text=f"{attack[:900]} [blank] {attack[:900]}",
            options=[attack[:200], f"b{number}", f"c{number}", f"d{number}"],
            correctIndex=0,
            hint=attack[:200],
            explain=attack,
            wrongExplanations={attack[:200]: attack},
            stimulus={"type": "image", "url": attack, "alt": attack} if number % 2 else None,
        )
        for number, attack in enumerate(ATTACKS)
    ]
    lesson = {"id": "l-1", "title": ALL[:200], "content": ALL, "objectives": [*ATTACKS], "questionIds": []}
    return factories.course(
        id=COURSE,
        title=ATTACKS[4][:120],
        description=ALL[:2000],
        subject=ATTACKS[0],
        gradeBand=ATTACKS[3][:50],
        tags=[attack[:50] for attack in ATTACKS[:20]],
        objectives=[{"id": "objective-1", "text": ALL[:500]}],
        groups=[{"id": "group-1", "name": ATTACKS[1][:120]}],
        items=items,
        studyTexts=[
            factories.study_text(number, title=attack[:200], content=f"Before {attack} after\n\n{attack}\n\n# {attack}")
            for number, attack in enumerate(ATTACKS)
        ],
        topics=[{"id": "topic-1", "name": ATTACKS[2][:200], "questionIds": [], "lessons": [lesson]}],
    )


def save(deps: Deps, organization: str, content: Any) -> None:
    with deps.db.transaction() as tx:
        at = documents.lock(tx, UUID(organization), "course", COURSE)
        content["contentVersion"] = f"v{at + 1}"
        revision = documents.save(tx, UUID(organization), "course", COURSE, content, Author("app", None), "edited")
        list_course(deps.bus, tx, Listing(UUID(organization), "demo-school", revision, content))


def look(page: Page) -> None:
    assert page.evaluate(_LOOK) == []
    assert page.evaluate("window.hacked ?? 0") == 0


def opened(opens: Opens, path: str) -> Window:
    """A window without the policy that would hold up whatever came through; and in which no dialog may open."""
    window = opens(bypass_csp=True)
    window.may_break = True  # an own picture that isn't there is asked for
    window.page.on("dialog", lambda dialog: window.faults.append(dialog.message))
    window.page.goto(path)
    return window


def test_a_course_full_of_attacks_is_read_as_words(opens: Opens, system: System, behind: Deps) -> None:
    save(behind, system.organization, hostile_course())
    page = opened(opens, f"/courses/{COURSE}").page
    expect(page.locator("h1")).to_have_text(ATTACKS[4][:120])
    assert page.locator(".item").count() == len(ATTACKS)
    for hidden in page.locator("details").all():
        hidden.evaluate("(one) => (one.open = true)")
    look(page)
    # Whatever is hovered over or focused runs nothing either.
    page.evaluate(
        """() => document.querySelectorAll("main *").forEach((one) => {
          for (const type of ["mouseover", "focus", "click", "toggle", "load", "error"])
            if (one.localName !== "a" && one.localName !== "summary") one.dispatchEvent(new Event(type));
        })"""
    )
    look(page)
    assert page.url.endswith(f"/courses/{COURSE}")


def test_a_card_that_a_script_draws_is_words_as_well(opens: Opens, system: System, behind: Deps) -> None:
    content = hostile_course()
    save(behind, system.organization, content)
    page = opened(opens, "/catalog").page
    card = page.locator(f'#cards > li[data-id="{COURSE}"]')
    expect(page.locator("#cards")).to_have_attribute("data-current", "true")
    look(page)
    for attack in ATTACKS[:6]:
        content["title"] = attack[:120]
        save(behind, system.organization, content)
        expect(card.locator("h2")).to_have_text(" ".join(attack[:120].split()))
        look(page)


def test_a_job_tells_of_its_topics_and_errors_in_words(opens: Opens, system: System, behind: Deps) -> None:
    whose = UUID(system.organization)
    payload = {"subject": ATTACKS[0], "title": ATTACKS[3], "gradeBand": "3-5", "mode": "options"}
    job_id = put_job(behind, whose, payload=payload, first_step="nowhere")
    page = opened(opens, f"/jobs/{job_id}").page
    expect(page.get_by_role("progressbar")).to_be_visible()
    with behind.db.transaction() as tx:
        topic = {"topicName": ALL[:2000], "topicIndex": 1, "totalTopics": 2, "progress": 10}
        step = {"step": "fill", "stepIndex": 1, "totalSteps": 6, "message": ALL[:2000], "progress": 10}
        events.append(tx, job_id, [Event("step_started", step), Event("topic_started", topic)])
    behind.bus.wake(job_id)
    expect(page.locator("generation-progress")).to_contain_text("Generating: ")
    behind.bus.delta(
        job_id,
        {"type": "content_delta", "jobId": str(job_id), "timestamp": "2026-11-21T00:00:00.000Z"}
        | {"step": "fill", "part": ATTACKS[0], "text": ALL[-300:]},
    )
    look(page)
    problems = [{"message": attack, "code": attack} for attack in ATTACKS[:5]]
    failed = {"failedStep": "fill", "canResume": True, "deadLetter": False, "attempt": 1, "run": 1}
    with behind.db.transaction() as tx:
        tx.run("UPDATE jobs SET status = 'failed', due_at = NULL WHERE id = :id", {"id": job_id})
        error = {"code": ATTACKS[3], "message": ALL[:2000], "details": {"problems": problems}}
        events.append(tx, job_id, [Event("job_failed", {**failed, "error": error})])
    behind.bus.wake(job_id)
    expect(page.get_by_role("alert").first).to_contain_text("onerror")
    look(page)
    listed = opened(opens, "/jobs").page
    expect(listed.locator("#jobs")).to_contain_text("onerror")
    look(listed)


def test_the_preview_of_an_exam_shows_words(opens: Opens) -> None:
    page = opened(opens, "/new?from=exam").page
    questions = [{"text": attack, "options": [attack[:100], "b"], "answer": "b", "tags": []} for attack in ATTACKS[:12]]
    page.locator("#content").fill(json.dumps([*questions, {"text": "", ATTACKS[3]: 1}]))
    page.get_by_role("button", name="Look at the questions").click()
    expect(page.locator("#preview")).to_be_visible()
    expect(page.locator("#preview")).to_contain_text("onerror")
    look(page)


def test_an_address_is_no_way_in(opens: Opens) -> None:
    for attack in ("/courses/<img src=x onerror=window.hacked=1>", "/nowhere?q=<script>window.hacked=1</script>"):
        look(opened(opens, attack).page)


def test_the_description_of_the_api_runs_under_the_policy_of_every_page(opens: Opens) -> None:
    window = opens("/docs")
    asked = window.page.locator("#operations-jobs-jobs_start")
    expect(asked).to_be_visible()
    asked.locator(".opblock-summary-control").click()
    expect(asked.locator(".opblock-body")).to_contain_text("Idempotency-Key")
    expect(window.page.locator(".swagger-ui .info .title")).to_contain_text("Coursewright")


def test_whatever_came_through_would_be_seen(opens: Opens) -> None:
    window = opened(opens, "/docs/errors")
    window.may_ask("127.0.0.1:1")
    page = window.page
    look(page)
    came = '<p onclick="x()"><iframe></iframe><a href="javascript:x()">x</a><img src="//127.0.0.1:1/x.png"></p>'
    page.evaluate("(html) => document.body.insertAdjacentHTML('beforeend', html)", came)
    assert [one.split()[0] for one in page.evaluate(_LOOK)] == ["p", "iframe", "a", "img"]

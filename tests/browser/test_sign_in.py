"""Signing in with a token and out again, as a person does."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from playwright.sync_api import expect

from schema.clock import new_id
from schema.settings import DEMO_ORGANIZATION_ID
from tests.acceptance.conftest import TOKEN, System
from tests.browser.conftest import Opens


def test_a_token_signs_in_and_leads_back_and_the_button_signs_out(opens: Opens, system: System) -> None:
    window = opens(storage_state=None)
    window.may_break = True  # a 401 is part of the story
    page = window.page
    page.goto("/new?from=exam")
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    page.get_by_label("Token").fill("wrong")
    page.get_by_label("Organization").fill(DEMO_ORGANIZATION_ID)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not valid here")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_label("Organization").fill(DEMO_ORGANIZATION_ID)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{system.url}/new?from=exam")
    assert "coursewright" in {cookie["name"] for cookie in window.context.cookies()}
    assert page.evaluate("document.cookie") == "", "no script sees it"
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{system.url}/login")
    assert window.context.cookies() == []
    page.goto("/catalog")
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()


def test_whoever_signs_out_everywhere_is_told_so_in_other_windows(opens: Opens, system: System, pictures: Path) -> None:
    """And whoever did nothing for a long time: to a page both are the same."""
    user, idler = new_id(), new_id()
    here, there, unused = (opens(storage_state=None) for _ in range(3))
    for window, whose in ((here, user), (there, user), (unused, idler)):
        window.may_break = True  # a 401 is part of the story
        answer = window.context.request.post("/api/session", headers=system.headers(**{"X-User-Id": str(whose)}))
        assert answer.status == 201
    there.page.goto("/catalog?from=there")
    unused.page.goto("/new")
    here.page.goto("/catalog")
    said = "You are no longer signed in"
    expect(there.page.get_by_text(said)).to_have_count(0)
    there.page.evaluate(
        "document.body.append(document.createElement('dialog')); document.querySelector('dialog').showModal()"
    )
    here.page.get_by_role("button", name="Sign out everywhere").click()
    expect(here.page).to_have_url(f"{system.url}/login")
    # The page asks something every few seconds, and its stream is cut off.
    expect(there.page.locator("dialog").get_by_role("alert")).to_contain_text(said)
    there.page.keyboard.press("Escape")
    expect(there.page.get_by_role("main").get_by_role("alert")).to_contain_text(said)
    expect(there.page.locator("#connection")).to_contain_text(said)
    there.page.screenshot(path=pictures / "signed-out.png")
    there.page.get_by_role("main").get_by_role("link", name="Sign in again").click()
    expect(there.page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    expect(there.page.locator("[name=next]")).to_have_value("/catalog?from=there")
    unused.page.get_by_label("Subject").fill("Fractions")
    unused.page.get_by_label("Grade band").fill("3-5")
    system.rows("UPDATE sessions SET idle_ends_at = now() WHERE user_id = %s RETURNING 1", str(idler))
    # What the link leads to takes the place of the form, and of what was typed into it.
    expect(unused.page.get_by_role("alert").first).to_contain_text("Copy what you typed here first")
    unused.page.get_by_role("button", name="Make the course").click()
    expect(unused.page.locator("#form-problem")).to_contain_text(said)
    expect(unused.page.get_by_role("alert").first).to_contain_text("Sign in again")
    expect(unused.page.get_by_label("Subject")).to_have_value("Fractions")


def test_a_page_that_lies_open_keeps_nobody_signed_in(opens: Opens, system: System) -> None:
    window, user = opens(storage_state=None), str(new_id())
    window.context.request.post("/api/session", headers=system.headers(**{"X-User-Id": user}))

    def in_an_hour() -> datetime:
        """When the session ends, as if it had not been used for eleven hours."""
        change = (
            "UPDATE sessions SET idle_ends_at = now() + interval '1 hour' WHERE user_id = %s RETURNING idle_ends_at"
        )
        [(moment,)] = system.rows(change, user)
        return cast(datetime, moment)

    def ends() -> datetime:
        [(moment,)] = system.rows("SELECT idle_ends_at FROM sessions WHERE user_id = %s", user)
        return cast(datetime, moment)

    before = in_an_hour()
    window.page.goto("/jobs")
    assert ends() > before + timedelta(hours=10), "opening a page is use"
    before = in_an_hour()
    with window.page.expect_response(lambda answer: answer.url == f"{system.url}/jobs") as looked:
        pass
    with window.page.expect_response("**/jobs/at-work") as counted:
        pass
    assert (looked.value.status, counted.value.status) == (200, 200)
    # Browsers say by themselves that no person opens this, but not by http from another machine.
    assert "html" not in looked.value.request.all_headers()["accept"]
    assert ends() == before


def test_a_page_from_before_one_signed_in_anew_says_how_to_keep_what_was_typed(opens: Opens, system: System) -> None:
    """In another tab, say: the cookie is the new session's, and the page's proof that of the old one."""
    window = opens(storage_state=None)
    window.may_break = True  # a 403 is the story
    window.context.request.post("/api/session", headers=system.headers())
    window.page.goto("/new")
    window.page.get_by_label("Subject").fill("Fractions")
    window.page.get_by_label("Grade band").fill("3-5")
    window.context.request.post("/api/session", headers=system.headers())
    window.page.get_by_role("button", name="Make the course").click()
    expect(window.page.locator("#form-problem")).to_contain_text("Copy what you typed here, then load the page again")
    expect(window.page.get_by_label("Subject")).to_have_value("Fractions")

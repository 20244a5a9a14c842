"""Signing in with a token and out again, as a person does."""

from __future__ import annotations

from playwright.sync_api import expect

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

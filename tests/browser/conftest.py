"""A real Chromium before a running system. Every test also sees that no script failed and no other host was asked."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.acceptance.conftest import System, running
from tests.fakes.model_server import ModelServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REQUIRED = os.environ.get("COURSEWRIGHT_REQUIRE_BROWSER") == "1"
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
#: How long a page may take for anything, in milliseconds. It takes a fraction of that; the machine may be busy.
PATIENCE = 30_000
#: What Chromium writes when an answer is an error or a connection breaks, which some tests are about.
BROKEN_LINE = re.compile(r"Failed to load resource|net::ERR_|ERR_INTERNET_DISCONNECTED")


class Window:
    """One browser window of its own person, with what went wrong in it."""

    def __init__(self, context: BrowserContext, host: str) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.faults: list[str] = []
        self.elsewhere: list[str] = []
        #: Whether refused and broken requests are part of the story.
        self.may_break = False
        self._hosts = {host}
        self.watch(self.page)

    def watch(self, page: Page) -> None:
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._asked)

    def may_ask(self, host: str) -> None:
        """Another host that a test brings along itself."""
        self._hosts.add(host)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not (self.may_break and BROKEN_LINE.search(message.text)):
            self.faults.append(f"{message.text} ({message.location.get('url')})")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).scheme in {"http", "https"} and urlsplit(request.url).netloc not in self._hosts:
            self.elsewhere.append(request.url)

    def check(self) -> None:
        assert self.faults == []
        assert self.elsewhere == []


expect.set_options(timeout=PATIENCE)

Opens = Callable[..., Window]


@pytest.fixture(scope="package")
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="package")
def system(browser: Browser, model: ModelServer) -> Iterator[System]:
    """A system with a scripted model. Its processes may be killed. Asks for the browser first: without one it is not
    started in vain."""
    with running(
        OPENAI_BASE_URL=model.url, OPENAI_API_KEY="a-key", STALE_AFTER_SECONDS="3", HEARTBEAT_SECONDS="0.5"
    ) as made:
        yield made


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        words = "Chromium not found: apt-get install chromium"
        if REQUIRED:
            pytest.fail(words)
        pytest.skip(words)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="package")
def identity(browser: Browser, system: System) -> Any:
    """What a browser keeps after its owner signed in with the link."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(system.ready["loginUrl"])
    assert page.url == f"{system.url}/catalog"
    kept = context.storage_state()
    context.close()
    return kept


@pytest.fixture(autouse=True)
def _willing_model(model: ModelServer) -> Iterator[None]:
    yield
    model.forget(faults=True, calls=True)
    model.release()
    model.latency = model.pace = 0.0


@pytest.fixture
def opens(browser: Browser, system: System, identity: Any) -> Iterator[Opens]:
    """Opens windows of somebody who is signed in. All of them are checked in the end."""
    made: list[Window] = []

    def open_one(path: str = "", **options: Any) -> Window:
        usual = {"viewport": {"width": 1200, "height": 800}, "reduced_motion": "reduce", "storage_state": identity}
        context = browser.new_context(base_url=system.url, **{**usual, **options})
        context.set_default_timeout(PATIENCE)
        window = Window(context, urlsplit(system.url).netloc)
        made.append(window)
        if path:
            window.page.goto(path)
        return window

    yield open_one
    for window in made:
        window.context.close()
    for window in made:
        window.check()


@pytest.fixture(scope="package")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: COURSEWRIGHT_SCREENSHOTS, or a folder that is forgotten."""
    named = os.environ.get("COURSEWRIGHT_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder

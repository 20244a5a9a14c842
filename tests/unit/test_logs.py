from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog
from gunicorn.config import Config

from schema.redaction import KNOWN
from tasks import logs
from web.gunicorn_logs import Logger


class Console(io.StringIO):
    """What a process would write to standard error."""

    def configure(self, level: str) -> None:
        """Configure logs, and take what goes to standard error."""
        logs.configure(level)
        (handler,) = logging.getLogger().handlers
        assert isinstance(handler, logging.StreamHandler)
        assert handler.setStream(self) is sys.stderr

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().split("\n") if line]


@pytest.fixture
def console() -> Iterator[Console]:
    """Logs as a process writes them. Afterwards everything is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    structlog.contextvars.clear_contextvars()
    made = Console()
    made.configure("INFO")
    yield made
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


def test_a_line_is_one_json_object_with_what_time_and_where(console: Console) -> None:
    structlog.get_logger("tasks.step").info("step_completed", seconds=0.25, step="fill")
    (line,) = console.lines()
    moment = line.pop("timestamp")
    assert line == {"event": "step_completed", "level": "info", "logger": "tasks.step", "seconds": 0.25, "step": "fill"}
    assert moment.endswith("Z") and "T" in moment


def test_a_line_carries_what_is_bound_around_it(console: Console) -> None:
    with structlog.contextvars.bound_contextvars(request="r1", job="j1", run=2, step="fill"):
        structlog.get_logger("tasks.step").warning("step_failed")
    structlog.get_logger("tasks.step").warning("later")
    inside, outside = console.lines()
    assert {"request": "r1", "job": "j1", "run": 2, "step": "fill"}.items() <= inside.items()
    assert not {"request", "job", "run", "step"} & outside.keys()


def test_libraries_speak_the_same_way_and_carry_it_too(console: Console) -> None:
    with structlog.contextvars.bound_contextvars(job="j1"):
        logging.getLogger("celery.worker").info("Task %s received", "coursewright.fill")
    (line,) = console.lines()
    assert line["event"] == "Task coursewright.fill received"
    assert (line["job"], line["level"], line["logger"]) == ("j1", "info", "celery.worker")


def test_a_crash_has_its_trace_in_the_same_line(console: Console) -> None:
    for log in (structlog.get_logger("ours"), logging.getLogger("theirs")):
        try:
            raise KeyError("a place")
        except KeyError:
            log.exception("crashed")
    ours, theirs = console.lines()
    for line in (ours, theirs):
        assert line["level"] == "error"
        assert "Traceback" in line["exception"] and "KeyError: 'a place'" in line["exception"]


def test_whatever_is_said_stays_one_line_of_json(console: Console) -> None:
    log = structlog.get_logger("tasks.step")
    log.info("odd", text="two\nlines \u2028 and \x00", id=UUID(int=1), thing={1, 2}, words="größer 😀")
    (line,) = console.lines()
    assert line["text"] == "two\nlines \u2028 and \x00"
    assert "größer 😀" in console.getvalue(), "people read these"


@pytest.mark.parametrize(("level", "heard"), [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)])
def test_only_what_is_loud_enough_is_heard(console: Console, level: str, heard: int) -> None:
    console.configure(level)
    for log in (structlog.get_logger("ours"), logging.getLogger("theirs")):
        log.debug("a")
        log.info("b")
        log.warning("c")
        log.error("d")
    assert len(console.lines()) == 2 * heard


def test_chatty_libraries_are_heard_when_something_is_wrong(console: Console) -> None:
    for name in ("kombu", "openai", "urllib3.connectionpool"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("trouble")
    assert [line["event"] for line in console.lines()] == ["trouble"] * 3


def test_being_configured_twice_does_not_say_things_twice(console: Console) -> None:
    console.configure("INFO")
    structlog.get_logger("ours").info("once")
    assert len(console.lines()) == 1


def test_no_line_holds_a_secret_whoever_writes_it(console: Console) -> None:
    KNOWN.add(["a-value-of-a-setting"])
    for log in (structlog.get_logger("ours"), logging.getLogger("theirs")):
        try:
            raise ValueError("failed with a-value-of-a-setting and Bearer abcdefghijkl")
        except ValueError:
            log.exception("tried redis://:swordfish@127.0.0.1 with a-value-of-a-setting")
    structlog.get_logger("ours").info("told", token="abc", nested={"deep": ["a-value-of-a-setting"]}, tokens=12)
    written = console.getvalue()
    for secret in ("a-value-of-a-setting", "abcdefghijkl", "swordfish", '"abc"'):
        assert secret not in written
    *_, told = console.lines()
    assert (told["token"], told["nested"], told["tokens"]) == ("[secret]", {"deep": ["[secret]"]}, 12)


def test_gunicorns_own_lines_hold_none_either() -> None:
    logger = Logger(Config())
    try:
        said = io.StringIO()
        for handler in logger.error_log.handlers:
            handler.stream = said
        logger.error("Error handling request %s", "/api/jobs/1/stream?token=abc.def")
        logger.info("Listening at: %s", "http://127.0.0.1:8000")
        assert "Error handling request /api/jobs/1/stream?token=[secret]" in said.getvalue()
        assert "Listening at: http://127.0.0.1:8000" in said.getvalue()
    finally:
        for handler in list(logger.error_log.handlers):
            logger.error_log.removeHandler(handler)

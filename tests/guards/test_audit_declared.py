"""Every view that changes something says what the audit log calls that, and the documentation explains each action."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask

from schema.audit import ACTIONS
from web.auditing import audit_of, audited

ROOT = Path(__file__).parents[2]
READING = {"GET", "HEAD", "OPTIONS"}
#: Actions of calls in the public contract that this version doesn't have yet.
AWAITED = {
    *("course.saved", "course.restored", "course.published", "course.unpublished", "course.archived"),
    *("proposal.accepted", "proposal.rejected", "review.rejected"),
    *("project.made", "project.changed", "lecture.saved", "media.asked"),
}
#: Views that are read and change something all the same.
READ_AND_CHANGED = {"entrance.by_link"}


def writes(app: Flask) -> set[str]:
    return {rule.endpoint for rule in app.url_map.iter_rules() if (rule.methods or set()) - READING}


def test_every_view_that_writes_declares_its_action_or_why_it_has_none(app: Flask) -> None:
    assert len(writes(app)) > 25
    for endpoint in sorted(writes(app)):
        declared = audit_of(app, endpoint)
        assert declared is not None, f"{endpoint} says neither audited(...) nor unaudited(...)"
        assert bool(declared.actions) != bool(declared.why), endpoint


def test_the_target_of_a_declaration_is_in_the_address(app: Flask) -> None:
    """Where the address names nothing the deed is noted by its use case, or has no target."""
    for rule in app.url_map.iter_rules():
        declared = audit_of(app, rule.endpoint) if "." in rule.endpoint else None
        if declared is not None and declared.argument and rule.arguments:
            assert declared.argument in rule.arguments, f"{rule.rule}: {declared.argument}"


def test_a_view_that_only_reads_declares_nothing(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        if rule.endpoint not in writes(app) | READ_AND_CHANGED and "." in rule.endpoint:
            assert audit_of(app, rule.endpoint) is None, rule.endpoint


def test_no_action_is_made_up() -> None:
    with pytest.raises(ValueError, match=r"Not on the list of actions: job\.eaten"):
        audited("job.started", "job.eaten")


def test_every_action_is_noted_somewhere() -> None:
    texts = [
        path.read_text("utf-8")
        for floor in ("storage", "tasks", "web")
        for path in (ROOT / floor).rglob("*.py")
        if path.name != "test_audit_declared.py"
    ]
    unused = {action for action in ACTIONS if not any(f'"{action}"' in text for text in texts)}
    assert unused == AWAITED


def test_the_documentation_lists_every_action_with_its_sentence() -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| (.+) \|$", text, re.MULTILINE))
    assert {action: rows.get(action) for action in ACTIONS} == ACTIONS
    assert rows.keys() == ACTIONS.keys()

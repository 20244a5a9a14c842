"""Every error code that can reach somebody has its advice, and the documentation names it."""

from __future__ import annotations

import re
from pathlib import Path

from web.error_advice import ADVICE

ROOT = Path(__file__).parents[2]
#: Codes of a process that can't start, or of a command; they never leave it as a problem.
OF_STARTING = {"bad_configuration", "upgrade_blocked", "upgrade_refused"}


def raised() -> set[str]:
    """Codes given where errors are made, and the default codes of their classes."""
    found: set[str] = set()
    for floor in ("schema", "storage", "tasks", "web"):
        for path in (ROOT / floor).rglob("*.py"):
            found |= set(re.findall(r'\bcode="([a-z_]+)"', path.read_text("utf-8")))
    errors = (ROOT / "schema" / "errors.py").read_text("utf-8")
    return (found | set(re.findall(r'^    code = "([a-z_]+)"', errors, re.MULTILINE))) - OF_STARTING


def test_every_code_has_advice() -> None:
    assert raised() - ADVICE.keys() == set()


def test_the_documentation_names_every_code() -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert [code for code in ADVICE if f"`{code}`" not in text] == []

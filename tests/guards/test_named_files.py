"""What a page names as its proof is there: each file of tests and of ours that the pages on security speak of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = {path.name for path in (ROOT / "tests").rglob("*.py")}
PAGES = ("security.md", "security-standards.md")
_FOLDERS = ("bench", "docs", "schema", "storage", "tasks", "tests", "web")


def named(text: str) -> set[str]:
    """Files in backticks: those of ours by their path, tests also by their name alone."""
    found = set(re.findall(r"`([\w./-]+)`", text))
    return {
        one for one in found if (one.split("/")[0] in _FOLDERS and "/" in one) or re.fullmatch(r"test_\w+\.py", one)
    }


def is_there(name: str) -> bool:
    return (ROOT / name).exists() if "/" in name else name in TESTS


@pytest.mark.parametrize("page", PAGES)
def test_every_file_a_page_names_is_there(page: str) -> None:
    found = named((ROOT / "docs" / page).read_text("utf-8"))
    assert len(found) > 20
    assert {name for name in found if not is_there(name)} == set()


@pytest.mark.parametrize(
    "text", ["see `test_gone.py`", "`web/gone.py`", "`tests/unit/test_gone.py`", "`docs/gone.yml`"]
)
def test_one_that_is_gone_is_noticed(text: str) -> None:
    assert [is_there(name) for name in named(text)] == [False]

"""Parameters as the API's description tells of them."""

from __future__ import annotations

import re

import pytest

from schema.fields import Line, Lines
from schema.job import COURSE_ID
from web.arguments import Argument, as_pattern, idempotency_key, last_seen, paged, schema_of, text, without


def test_a_sentence_without_more_is_about_a_text() -> None:
    assert schema_of("Only this.") == {"type": "string"}
    assert schema_of(Argument("Only this.", format="uuid")) == {"type": "string", "format": "uuid"}
    assert str(Argument("Only this.", format="uuid")) == "Only this."


def test_a_list_has_a_limit_and_a_cursor() -> None:
    page = paged("Jobs", 200, 50)
    assert page["limit"] == "Jobs on a page, 1 to 200; 50 unless told."
    assert schema_of(page["limit"]) == {"type": "integer", "minimum": 1, "maximum": 200}
    assert schema_of(page["cursor"]) == {"type": "string", "format": "cursor"}
    assert schema_of(paged("Courses", 200, 50, pattern="^a$")["cursor"]) == {"type": "string", "pattern": "^a$"}


@pytest.mark.parametrize(
    ("argument", "good", "bad"),
    [
        (text("x"), ["", "a\nb", "é"], ["a\x00", "\x00"]),
        (last_seen("x"), ["", "0", "999999999999999999"], ["-1", "1.0", "a", "9" * 19]),
        (idempotency_key("x", 200), ["a", "a b", "~"], ["", " ", "a ", " a", "é", "a\n"]),
    ],
    ids=["text", "a number", "a key"],
)
def test_a_pattern_takes_what_the_view_takes(argument: Argument, good: list[str], bad: list[str]) -> None:
    pattern = re.compile(schema_of(argument)["pattern"].removesuffix("$") + r"\Z")
    assert [value for value in good if not pattern.search(value)] == []
    assert [value for value in bad if pattern.search(value)] == []


def test_a_pattern_of_ours_is_written_for_others() -> None:
    assert as_pattern(COURSE_ID) == "^(?:[A-Za-z0-9-]{1,64})$"
    assert as_pattern(re.compile("a|b")) == "^(?:a|b)$"


def test_what_no_line_may_hold_is_told_as_a_pattern() -> None:
    assert without(re.compile("[a-c]")) == "^[^a-c]*$"
    lines, line = re.compile(without(Lines.refused)), re.compile(without(Line.refused))
    assert lines.search("two\nlines\tof words") and not lines.search("a bell\x07") and not lines.search("\u202eback")
    assert line.search("one line") and not line.search("two\x0blines") and not line.search("a\u2028b")

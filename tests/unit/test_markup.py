from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from schema.markup import as_written, closed, on_one_line, unsafe_parts, without_html
from tests.unit.strategies import SETTINGS

MARKS = st.text(st.sampled_from("a1 .*_`~#>-+=<>[]()!\\|&;:/\n\t"), max_size=60)


def drawn(markdown: str) -> str:
    """What a reader sees of a text."""
    html = MarkdownIt("commonmark").render(markdown)
    return re.sub(r"<br />\n?", "\n", re.sub(r"</?p>", "", html)).replace("&lt;", "<").replace("&gt;", ">")


class TestAsWritten:
    @pytest.mark.parametrize(
        "text",
        ["1. One", "- One", "# One", "> One", "a * b * c", "<b>x</b>", "[x](javascript:y)", "`x`", "---", "12) x"],
    )
    def test_marks_are_shown_and_not_obeyed(self, text: str) -> None:
        assert drawn(as_written(text)).strip().replace("&amp;", "&") == text

    def test_lines_keep_their_indentation(self) -> None:
        shown = drawn(as_written("What does this print?\nfor i in x:\n    print(i)\n\tj"))
        four = "\N{NO-BREAK SPACE}" * 4
        assert shown.strip().split("\n") == ["What does this print?", "for i in x:", f"{four}print(i)", f"{four}j"]

    @SETTINGS
    @given(MARKS)
    def test_any_text_is_paragraphs_of_plain_words(self, text: str) -> None:
        tokens = MarkdownIt("commonmark").parse(as_written(text))
        assert {token.type for token in tokens} <= {"paragraph_open", "inline", "paragraph_close"}
        inner = {child.type for token in tokens for child in token.children or []}
        assert inner <= {"text", "text_special", "hardbreak", "softbreak"}
        shown = drawn(as_written(text)).replace("&amp;", "&").replace("&quot;", '"')
        assert shown.split() == text.split()

    @SETTINGS
    @given(MARKS)
    def test_one_line_stays_one_line(self, text: str) -> None:
        assert "\n" not in on_one_line(text)
        assert unsafe_parts(f"- {on_one_line(text)}\n- next") == []


class TestClosed:
    @SETTINGS
    @given(MARKS)
    def test_what_comes_after_is_not_swallowed(self, text: str) -> None:
        assume(not unsafe_parts(text))  # raw HTML may swallow it, and is refused
        tokens = MarkdownIt("commonmark").parse(f"{closed(text)}\n\n## After it")
        assert tokens[-3].type == "heading_open" and tokens[-2].content == "After it"

    @pytest.mark.parametrize("text", ["", "Words.", "```\ncode\n```", "- a\n  ```\n  b", "~~~\na\n~~~\n\nWords."])
    def test_what_is_closed_stays_as_it_is(self, text: str) -> None:
        assert closed(text) == text


class TestWithoutHtml:
    @pytest.mark.parametrize(
        ("text", "after"),
        [
            ("a <b>word</b>", r"a \<b>word\</b>"),
            ("`<b>` is bold, <i> is not", r"`<b>` is bold, \<i> is not"),
            ("<!-- c -->\n\n```html\n<p>\n```\n\n<p>", "\\<!-- c -->\n\n```html\n<p>\n```\n\n\\<p>"),
            ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
            ("`<b>` alone", "`<b>` alone"),
            (r"\<b> and <i>", r"\<b> and \<i>"),
            (r"\\<b>", r"\\\<b>"),
            ("~~~\n<p>\n~~~\n<p>", "~~~\n<p>\n~~~\n\\<p>"),
            ("```code``` <b>", r"```code``` \<b>"),
        ],
    )
    def test_tags_are_shown_and_code_is_left_alone(self, text: str, after: str) -> None:
        assert without_html(text) == after
        assert unsafe_parts(after) == []


@SETTINGS
@given(MARKS)
def test_any_text_can_be_judged(text: str) -> None:
    assert all(len(part) <= 80 for part in unsafe_parts(text))

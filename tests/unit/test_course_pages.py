"""What a course says as HTML: readable, and harmless whatever it says."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.attacks import ATTACKS
from web.pages.courses import grouped
from web.pages.reading import answer_of, question, rendered

PICTURE = "/content/media/" + "a" * 64 + ".png"
ITEM = {"groupId": "g1", "text": "2 + 2 = [blank]", "mode": "numeric", "answer": 4}


class TestRendered:
    def test_sections_are_headings_and_paragraphs_stay_apart(self) -> None:
        html = rendered("[SECTION:Up into the air]\nWater *rises*.\n\nIt cools.\n[SECTION:Down]\nRain.")
        assert html == (
            "<h3>Up into the air</h3>\n<p>Water <em>rises</em>.</p>\n<p>It cools.</p>\n<h3>Down</h3>\n<p>Rain.</p>\n"
        )

    def test_a_picture_has_its_words_as_caption(self) -> None:
        html = rendered(f"Look:\n\n![A cycle, drawn]({PICTURE})\n\nThere.")
        assert f'<figure><img src="{PICTURE}" alt="A cycle, drawn"><figcaption>A cycle, drawn</figcaption>' in html

    def test_a_picture_that_is_still_being_made_has_its_place(self) -> None:
        html = rendered("Look: [IMAGE: A [cycle] of *water* & ice] there.")
        assert '<figure class="pending">' in html and "<img" not in html
        assert "A [cycle" in html or "A " in html
        assert "[IMAGE" not in html

    def test_headings_stand_below_those_of_the_page(self) -> None:
        assert rendered("# One\n\n## Two\n\n###### Six", 4) == "<h4>One</h4>\n<h5>Two</h5>\n<h6>Six</h6>\n"
        assert rendered("### Only\n\n#### these", 4) == "<h4>Only</h4>\n<h5>these</h5>\n"

    def test_lists_and_tables_are_drawn(self) -> None:
        html = rendered("- a\n- b\n\n| x | y |\n|---|---|\n| 1 | 2 |")
        assert html.count("<li>") == 2 and "<td>2</td>" in html

    @pytest.mark.parametrize(
        "text",
        [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "[x](javascript:alert(1))",
            "[x](data:text/html,<script>alert(1)</script>)",
            "![x](javascript:alert(1))",
            "![x](https://elsewhere.example/pixel.png)",
            "![x](//elsewhere.example/pixel.png)",
            f"![x]({PICTURE}?spy=1)",
            "![x](/content/media/../../api/jobs)",
            '[x](https://ok.example "onclick=alert(1)")',
            "[SECTION:<script>alert(1)</script>]",
            '[IMAGE: "><script>alert(1)</script>]',
            '<figure class="pending"><iframe src="https://elsewhere.example"></iframe></figure>',
            "<style>body{display:none}</style>",
            "<a href='https://x.example' style='position:fixed'>x</a>",
        ],
    )
    def test_nothing_dangerous_comes_through(self, text: str) -> None:
        self.check(rendered(f"Before {text}\n\n{text}\n\nAfter"))

    @pytest.mark.parametrize("text", ATTACKS, ids=[str(number) for number in range(len(ATTACKS))])
    def test_no_attack_comes_through(self, text: str) -> None:
        self.check(rendered(f"Before {text}\n\n{text}\n\n- {text}\n\n> {text}\n\n# {text}"))

    @given(st.text(alphabet="<>\"'=/:[]()!#*_`\\ \n\taxjscriptonIMAGE|&;-", max_size=200))
    def test_nor_does_anything_else(self, text: str) -> None:
        self.check(rendered(text))

    def check(self, html: str) -> None:
        tags = re.findall(r"<(/?)([a-z0-9]+)((?:\s[^<>]*)?)>", html)
        assert not {name for _, name, _ in tags} & {"script", "style", "iframe", "object", "form", "input", "svg"}
        for _, name, attributes in tags:
            for attribute, value in re.findall(r'([a-z-]+)="([^"]*)"', attributes):
                assert attribute in {"href", "title", "src", "alt", "start", "class", "rel", "aria-hidden"}, attribute
                if attribute == "src":
                    assert re.fullmatch(r"/content/media/[0-9a-f]{64}\.[a-z0-9]{2,5}", value)
                if attribute == "href":
                    assert not re.match(r"\s*(javascript|data|vbscript):", value, re.IGNORECASE)
            assert name != "img" or "src=" in attributes or "alt=" in attributes


class TestItems:
    def test_a_blank_is_drawn_and_the_rest_is_text(self) -> None:
        html = question("<b>2</b> + 2 = [blank] & more")
        assert html.startswith("&lt;b&gt;2&lt;/b&gt; + 2 = <span") and html.endswith(" &amp; more")

    def test_one_without_a_blank_is_text(self) -> None:
        assert question("What is <it>?") == "What is &lt;it&gt;?"

    @pytest.mark.parametrize(
        ("item", "words"),
        [
            (ITEM, "4"),
            ({**ITEM, "answer": 2.5}, "2.5"),
            ({**ITEM, "answer": -3.0}, "-3"),
            ({**ITEM, "answer": 12345678}, "12345678"),
            ({**ITEM, "mode": "options", "options": ["a", "b"], "correctIndex": 1}, "b"),
            ({**ITEM, "mode": "options", "options": ["a", "b"], "correctIndex": 7}, ""),
        ],
    )
    def test_the_answer_is_told_in_words(self, item: dict[str, object], words: str) -> None:
        assert answer_of(item) == words

    def test_items_stand_under_their_groups(self) -> None:
        groups = [{"id": "g2", "name": "Two"}, {"id": "g1", "name": "One"}, {"id": "g3", "name": "Empty"}]
        course = {"groups": groups, "items": [{**ITEM, "id": 0}, {**ITEM, "id": 1, "groupId": "g2"}]}
        assert [(name, [item["id"] for item in items]) for name, items in grouped(course)] == [
            ("Two", [1]),
            ("One", [0]),
        ]

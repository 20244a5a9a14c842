"""GIFT files: every kind of question Moodle writes, its oddities, and files that are none."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.exam import MOST_ANSWERS
from schema.exam_files import CheckedFile, read_exam_file
from schema.exam_files.found import MOST_FAULTS, MOST_TEXTS
from schema.exam_request import Draft, load_new_exam

REPOSITORY = Path(__file__).parents[2]


def read(text: str) -> CheckedFile:
    return read_exam_file(text.encode(), "gift")


def sound(text: str) -> list[Draft]:
    found = read(text)
    assert found.faults == []
    return found.drafts


def only(text: str) -> Draft:
    [draft] = sound(text)
    return draft


def brief(draft: Draft) -> tuple[str, list[str] | None, list[str]]:
    return draft["text"], draft["options"], draft["answers"]


def notes(text: str) -> list[tuple[int, str]]:
    return [(note.line, note.message) for note in read(text).notes]


def faults(text: str) -> list[tuple[int, str]]:
    found = read(text)
    assert all(fault.message.startswith(f"Line {fault.line}") for fault in found.faults)
    return [(fault.line, fault.message) for fault in found.faults]


class TestKinds:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                "Who's buried in Grant's tomb?{~Grant ~Jefferson =no one}",
                ("Who's buried in Grant's tomb?", ["Grant", "Jefferson", "no one"], ["no one"]),
            ),
            (
                "Grant is {~buried =entombed ~living} in Grant's tomb.",
                ("Grant is _____ in Grant's tomb.", ["buried", "entombed", "living"], ["entombed"]),
            ),
            ("Two plus two equals {=four =4}.", ("Two plus two equals _____.", None, ["four", "4"])),
            ("Name a\ncity. {\n=Rome\n=Oslo}", ("Name a\ncity.", None, ["Rome", "Oslo"])),
            ("Who?{no one}", ("Who?", None, ["no one"])),
            ("It rains.{T}", ("It rains.", ["True", "False"], ["True"])),
            ("It rains.{ FALSE }", ("It rains.", ["True", "False"], ["False"])),
            ("When was Grant born? {#1822}", ("When was Grant born?", None, ["1822"])),
            ("When?{#1822:5}", ("When?", None, ["1822", "1817 to 1827"])),
            ("Pi is {#3.1415:0.0005}.", ("Pi is _____.", None, ["3.1415", "3.141 to 3.142"])),
            ("What is pi? {#3.141..3.142}.", ("What is pi?", None, ["3.141 to 3.142", "3.1415"])),
            ("How cold?{#-5..-1}", ("How cold?", None, ["-5 to -1", "-3"])),
            ("When?{#\n =1822:0\n =1823\n}", ("When?", None, ["1822", "1823"])),
            ("How are you? {}", ("How are you?", None, [])),
        ],
    )
    def test_of_a_single_question(self, text: str, expected: Any) -> None:
        assert brief(only(text)) == expected

    def test_pairs_to_match_are_a_question_each(self) -> None:
        text = "Match each country with its capital.{=Canada -> Ottawa =Italy->Rome = -> Oslo}"
        options = ["Ottawa", "Rome", "Oslo"]
        assert [brief(draft) for draft in sound(text)] == [
            ("Match each country with its capital: Canada", options, ["Ottawa"]),
            ("Match each country with its capital: Italy", options, ["Rome"]),
        ]
        assert notes(text) == [(1, "Each of the 2 pairs to match becomes a question of its own.")]

    def test_too_many_pairs_have_nothing_to_choose_from(self) -> None:
        drafts = sound("Match.{" + "".join(f"={n}->{n * n + 100} " for n in range(12)) + "}")
        assert len(drafts) == 12 and {draft["options"] is None for draft in drafts} == {True}

    def test_several_right_answers_are_told(self) -> None:
        text = "Which two?{~%-50%No one ~%50%Grant ~%50%His wife ~%-50%His father}"
        assert only(text)["answers"] == ["Grant", "His wife"]
        assert notes(text) == [(1, "2 answers are right together; here each of them counts as right.")]

    def test_what_is_right_in_part_is_wrong(self) -> None:
        text = "From where?{~Jerusalem ~%25%Bethlehem =Nazareth}"
        assert brief(only(text)) == ("From where?", ["Jerusalem", "Bethlehem", "Nazareth"], ["Nazareth"])
        assert notes(text) == [(1, "An answer that is right in part counts as wrong.")]
        assert only("From where?{=Nazareth =%75%Nazereth =%0%*#No}")["answers"] == ["Nazareth"]

    def test_a_text_without_answers_is_context(self) -> None:
        found = read("::Intro::Read this\nfirst.\n\nWho?{=Ada}\n\nAnd that.")
        assert (found.context, len(found.drafts)) == ("Read this\nfirst.\n\nAnd that.", 1)
        assert [note.line for note in found.notes] == [1, 6]


class TestFeedback:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Which?{=yes#Good! ~no#Not so.####In general.}", "In general.\nGood!\nno: Not so."),
            ("Really?{FALSE#It is not.#Right you are.}", "Right you are.\nIt is not."),
            ("Who?{=Ada#She was. =Lovelace#She was.}", "She was."),
            ("How much?{#3:2~#All wrong}", ""),
            ("How much?{#3#Three.####Always.}", "Always.\nThree."),
            ("How?{####Think.}", "Think."),
        ],
    )
    def test_becomes_the_explanation(self, text: str, expected: str) -> None:
        assert only(text)["explanation"] == expected


class TestTexts:
    def test_escapes_are_undone_and_mean_nothing(self) -> None:
        text = r"::T\:\:::Is 1 \= 1 \{really\}\: \~\#?\nYes \\n{=\=so\#\~ ~a \-> b ~\\}"
        draft = only(text)
        assert draft["text"] == "Is 1 = 1 {really}: ~#?\nYes \\n"
        assert draft["options"] == ["=so#~", "a \\-> b", "\\"]

    def test_html_is_reduced_to_its_words(self) -> None:
        text = "[html]<p>What is x<sup>2</sup> &lt; <b>3</b>&nbsp;?</p><script>alert(1)</script>{=<i>one</i> ~two&amp;}"
        draft = only(text)
        assert draft["text"].replace("\xa0", " ") == "What is x^2 < 3 ?"
        assert draft["options"] == ["one", "two&"], "what doesn't name a format has that of the question"
        assert only("[html]<b>A</b>?{=[plain]<b> ~[markdown]*c*}")["options"] == ["<b>", "*c*"]
        assert only("Is a <b> c?{=[html]<i>yes</i>}")["answers"] == ["yes"]
        assert only("Is [x] here?{=y}")["text"] == "Is [x] here?"

    def test_lost_pictures_are_told(self) -> None:
        assert notes('[html]Who? <img src\\="x.png">{=Ada}') == [(1, "Pictures and films are left out.")]

    def test_categories_and_tags_of_comments_become_tags(self) -> None:
        text = """// question: 1 [tag:easy] [tag:a \\] b]
$CATEGORY: $course$/top/Plants/Leaves and//or roots

// [tag:hard]
Who?{=Ada}

$CATEGORY: top

What?{=this}
"""
        first, second = sound(text)
        assert (first["tags"], second["tags"]) == (["Leaves and/or roots", "hard"], [])

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_lines_end_in_any_way_and_a_mark_may_begin_the_file(self, end: str) -> None:
        text = "\ufeff// comment\n\nWho?{\n// within\n=Ada\n}\n \t\nWhat?{=that}".replace("\n", end)
        assert [draft["answers"] for draft in sound(text)] == [["Ada"], ["that"]]

    def test_moodles_own_examples(self) -> None:
        text = """::Kanji Origins::Japanese characters originally
came from what country? {=China}

Japanese characters originally came from what country? {
    ~India#Sorry.
    =China
    ~Korea
    ~Egypt}

::Control:: Which is NOT a control character? {
   ~ \\~     # \\~ is one.
   ~ \\=     # \\= is one.
   = \\\\     # Correct! \\\\ is not,
              but it escapes them.
}
"""
        first, second, third = sound(text)
        assert first["text"] == "Japanese characters originally\ncame from what country?"
        assert second["explanation"] == "India: Sorry."
        assert (third["options"], third["answers"]) == (["~", "=", "\\"], ["\\"])


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("\nWho?{\n=Ada\n\nWhat?{=this}", 2, "has no }"),
        ("Who?}", 1, "has no {"),
        ("Who?\n=Ada}{", 2, "has no {"),
        ("Who?{=Ada}\nWhat?{=this}", 2, "one pair of braces"),
        ("{=Ada}", 1, "no question before"),
        ("::Title::\n{=Ada}", 2, "no question before"),
        ("Who?{~Ada ~Bob}", 1, "None of the answers is right"),
        ("Who?{=%50%Ada}", 1, "full marks"),
        ("Who?{=}", 1, "empty"),
        ("Who?{Ada ~Bob =Cid}", 1, "neither marked"),
        ("Who?{\n=Ada -> 1\n=Bob}", 3, "=left -> right"),
        ("Who?{= -> 1}", 1, "nothing to match"),
        ("How much?{#\n=1\n=many}", 3, "'many' is no number"),
        ("How much?{#}", 1, "is empty"),
        ("How much?{#1:x}", 1, "'x' is no number"),
        ("How much?{#1e999}", 1, "is no number"),
        ("How much?{#NaN}", 1, "is no number"),
        ("Who?{=A*a}", 1, "wildcard"),
        ("Who?{=Ada}\n\nwho? {=Ada}", 3, "Asks the same"),
        ("Who?{~Ada =Ada}", 1, "Says the same"),
        ("x\n\n" * (MOST_TEXTS + 1), 2 * MOST_TEXTS + 1, "no answers in braces"),
        ("Who?{=Ada\x00}", 1, "NUL"),
        ("Who?{=\ufdd0}", 1, "no character"),
        ("", 1, "no question in the file"),
        ("// nothing\n", 1, "no question in the file"),
        ("x" * 2001 + "{=y}", 1, "Longer than"),
        ("Which?{=0" + "".join(f" ~{n}" for n in range(1, 11)) + "}", 1, "Length must be"),
        ("Which?{" + "=a" * (MOST_ANSWERS + 1) + "}", 1, "more than"),
    ],
)
def test_what_cannot_be_taken_names_its_line(text: str, line: int, words: str) -> None:
    assert words in dict(faults(text)).get(line, ""), faults(text)


def test_a_file_in_another_encoding_says_where() -> None:
    [fault] = read_exam_file("Who?{=Ada}\n\nWo?{=Köln}".encode("latin-1"), "gift").faults
    assert (fault.line, fault.path, fault.code) == (3, "file", "malformed_file")


def test_a_wildcard_at_an_end_is_left_out() -> None:
    assert only("Who?{=*Lincoln*}")["answers"] == ["Lincoln"]
    assert notes("Who?{=*Lincoln*}") == [(1, "The wildcard (*) of the answer 'Lincoln' is left out.")]


def test_the_example_of_the_docs_is_the_exam_of_the_tests() -> None:
    found = read_exam_file((REPOSITORY / "docs/examples/civics.gift").read_bytes(), "gift")
    exam = load_new_exam(json.loads((REPOSITORY / "tests/data/civics.json").read_text("utf-8")))
    assert found.faults == [] and len(found.drafts) == 100
    assert found.drafts == list(exam.drafts)


SIGNS = st.lists(
    st.sampled_from([*"{}=~#:%\\/ \n\r\t*.5a[]<&", "->", "####", "::", "//", "[html]", "TRUE", "\n\n"]), max_size=30
)


@settings(max_examples=300)
@given(st.lists(st.one_of(SIGNS.map("".join), st.text(max_size=5)), max_size=6).map("".join))
def test_no_text_is_too_strange(text: str) -> None:
    """Whatever comes: drafts that can be kept, or faults with lines that are there."""
    found = read_exam_file(text.encode("utf-8", "surrogatepass"), "gift")
    lines = len(text.splitlines()) + text.count("\r") + 1
    assert all(1 <= fault.line <= lines for fault in found.faults)
    if found.drafts:
        assert len(load_new_exam({"title": "t", "questions": found.bodies}).drafts) == len(found.drafts)


SAID = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=20).filter(
    lambda text: text.strip() and not text.strip().startswith(("[", "%", "//", "$")) and "*" not in text
)


@settings(max_examples=200)
@given(SAID, st.lists(SAID, min_size=2, max_size=6, unique_by=lambda text: text.strip().casefold()))
def test_what_is_escaped_comes_back_as_it_was(stem: str, options: list[str]) -> None:
    def escaped(text: str) -> str:
        return "".join(f"\\{char}" if char in "\\~=#{}:" else char for char in text)

    found = read(f"::T::{escaped(stem)}{{={escaped(options[0])}{''.join('~' + escaped(one) for one in options[1:])}}}")
    if any("Says the same" in fault.message for fault in found.faults):
        return  # equal but for runs of spaces
    [draft] = found.drafts
    assert draft["text"].split() == stem.split()
    assert [option.split() for option in draft["options"] or []] == [option.split() for option in options]


@pytest.mark.parametrize(
    "text",
    [
        "x{" + "=" * 900_000,
        "{" * 900_000,
        "::" * 400_000 + "{=a}",
        "\\" * 900_000,
        "//[tag:" * 100_000,
        "a{" + "~%" * 400_000 + "}",
        "a{" + "#" * 900_000 + "}",
        "a{" + "=->" * 300_000 + "}",
        "a{#" + "9" * 900_000 + "}",
        "$CATEGORY: " + "/" * 900_000,
        "a{=b}\n\n" * 120_000,
        "[html]x" + "<b>" * 30_000 + "{=a}",
        "[html]x" + "<b><p>" * 16_000 + "{=a}",
        "[html]x" + "<!" * 40_000 + "{=a}",
        "[html]x" + "<table><tr><td>" * 6_000 + "{=a}",
        "[html]x" + "&" * 90_000 + "{=a}",
        "\n\n".join(["[html]x" + "<div>" * 19_000 + "{=a}"] * 10),
        "\n\n".join(["[html]x" + "<div '<'>" * 190 + "{=a}"] * 550),
        "\n\n".join(["[html]x" + "&" * 95_000 + "<b{=a}"] * 10),
        "x\n\n" * 300_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_hostile_file_takes_no_long_time(text: str) -> None:
    began = time.process_time()
    found = read(text)
    assert len(found.faults) <= MOST_FAULTS
    assert time.process_time() - began < 2.5  # a second, on a machine without other work

"""Exams in CSV: separators, headings, answers by letter and number, and faults that name line and column."""

from __future__ import annotations

import csv
import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.exam import MOST_QUESTIONS
from schema.exam_files import CheckedFile, read_exam_file
from schema.exam_files.found import MOST_FAULTS
from schema.exam_request import Draft


def read(text: str) -> CheckedFile:
    return read_exam_file(text.encode(), "csv")


def only(text: str) -> Draft:
    found = read(text)
    assert found.faults == []
    [draft] = found.drafts
    return draft


def told(text: str) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.path, fault.message) for fault in read(text).faults]


WHOLE = {
    "id": None,
    "text": "What do leaves take in?",
    "options": ["Light", "Sand", "Salt"],
    "answers": ["Light"],
    "explanation": "It is their food.",
    "tags": ["leaves", "light"],
}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_separator_is_found_out(delimiter: str, end: str, mark: str) -> None:
    lines = [
        ["Question", "Options", "Correct answer", "Explanation", "Tags"],
        ["What do leaves take in?", "Light|Sand|Salt", "Light", "It is their food.", "leaves|light"],
    ]
    assert only(mark + end.join(delimiter.join(line) for line in lines)) == WHOLE


@pytest.mark.parametrize(
    "header",
    [
        "question,option_a,option_b,option_c,answer,explanation,tags",
        "text,Option A,Option B,Option C,key,feedback,topic",
        "Prompt,A,B,C,Correct,Rationale,Category",
        "question,option1,option2,option3,correct_answer,explanation,tag",
        "question,choice 1,choice 2,choice 3,answers,explanation,tags",
        "tags,question,optionC,optionA,optionB,answer,explanation",
    ],
)
def test_headings_have_several_names_and_any_order(header: str) -> None:
    known = header.lower().startswith("tags")
    line = (
        "leaves|light,What do leaves take in?,Salt,Light,Sand,A,It is their food."
        if known
        else "What do leaves take in?,Light,Sand,Salt,A,It is their food.,leaves|light"
    )
    assert only(f"{header}\n{line}\n") == WHOLE


@pytest.mark.parametrize(
    ("header", "options", "answer", "expected"),
    [
        ("option_a,option_b,option_c", "x,y,z", "b", ["y"]),
        ("option_a,option_b,option_c", "x,y,z", "C)", ["z"]),
        ("option_a,option_b,option_c", "x,y,z", "A;C", ["x", "z"]),
        ("option_a,option_b,option_c", "x,y,z", '"A, C"', ["x", "z"]),
        ("option_a,option_b,option_c", "x,y,", "Y", ["y"]),
        ("option1,option2,option3", "x,y,z", "2", ["y"]),
        ("option1,option2,option3", "5,1,2", "2", ["2"]),
        ("option1,option2,option3", "x,y,z", "1|3", ["x", "z"]),
        ("options", "x|y|z", "z", ["z"]),
        ("options", "x;y;z", "B", ["y"]),
        ("options", '"x\ny\nz"', "A", ["x"]),
        ("options", "a;b|c", "a;b", ["a;b"]),
        ("options", "", "x|y", ["x", "y"]),
        ("options", "", "x; y", ["x; y"]),
        ("options", "x|y", "", []),
    ],
)
def test_answers(header: str, options: str, answer: str, expected: list[str]) -> None:
    assert only(f"question,{header},answer\nWhich?,{options},{answer}\n")["answers"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # as Excel writes it in Germany, with its own first line, and with rows that it filled up
        (
            "\ufeffsep=;\r\nQuestion;Option A;Option B;Answer;\r\nWas essen Bären?;Honig;Sand;A;;\r\n;;;;\r\n",
            ("Was essen Bären?", ["Honig", "Sand"], ["Honig"]),
        ),
        ("sep=,\nquestion,answer\nWhy?,so\n", ("Why?", None, ["so"])),
        # as quiz sites write it
        ("Question,Answer 1,Answer 2,Time,Correct\nWho?,Ada,Bob,20,2\n", ("Who?", ["Ada", "Bob"], ["Bob"])),
        ("Question,Answer 1,Answer 2\nWho?,Ada,Bob\n", ("Who?", None, [])),
        # on capitals and commas
        ("question,options,answer\nWhich?,english|English,English\n", ("Which?", ["english", "English"], ["English"])),
    ],
)
def test_tables_as_they_are_found(text: str, expected: tuple[str, list[str] | None, list[str]]) -> None:
    draft = only(text)
    assert (draft["text"], draft["options"], draft["answers"]) == expected


def test_a_table_in_another_encoding_says_how_to_save_it() -> None:
    [fault] = read_exam_file("question;answer\r\nWo?;Köln\r\n".encode("cp1252"), "csv").faults
    assert (fault.line, fault.code) == (2, "malformed_file") and "CSV UTF-8" in fault.message


def test_columns_nobody_knows_are_told() -> None:
    found = read("nr,,question,answer,points\n1,x,Why?,so,3\n")
    assert [(note.line, note.message) for note in found.notes] == [
        (1, "Left out: 'nr', a column without a name, 'points'. No such column is known.")
    ]
    assert [draft["text"] for draft in found.drafts] == ["Why?"]


@pytest.mark.parametrize(
    ("text", "line", "path", "words"),
    [
        ("", 1, "file", "nothing in the file"),
        ("answer\nso\n", 1, "file", "No column is called question"),
        ("question,answer\nWhy?,so,more\n", 2, "file", "3 cells"),
        ('question,answer\n"Why?,so\n', 2, "file", "can't be read as CSV"),
        ('question,answer\n"Why"?,so\n', 2, "file", "can't be read as CSV"),
        ("question,answer\nWhy?,so\n,so\n", 3, "questions.1.text", "column 'question'"),
        ('question,Options,Key\n"Which\none?",x|y,w\n', 2, "questions.0.answer", "column 'Key'"),
        ("question,option_a,option_b,option_c,answer\nWhich?,x,,z,C\n", 2, "file", "Column 'option_b' is empty"),
        ("question,option_a,option_b,answer\nWhich?,x,,A\n", 2, "questions.0.options", "column 'option_a'"),
        ("question,options,answer\nWhich?,x|x,x\n", 2, "questions.0.options.1", "column 'options'"),
        (f"question{',x' * 200}\nWhy?\n", 1, "file", "201 columns"),
        ("question,answer\nWhy?,so\nwhy,gap\n", 3, "questions.1.text", "Asks the same as questions.0"),
        ("question,answer\nWhy?,a\0b\n", 2, "questions.0.answer", "NUL"),
        (f"question,answer\nWhy?,{'x' * 200_000}\n", 2, "file", "can't be read as CSV"),
        (f"question,answer\nWhy?,{'x' * 501}\n", 2, "questions.0.answer", "Longer than"),
        ("question,tags\nWhy?," + "|".join(map(str, range(21))) + "\n", 2, "questions.0.tags", "Longer than"),
    ],
)
def test_faults_name_line_and_column(text: str, line: int, path: str, words: str) -> None:
    found = told(text)
    assert (line, path) in [(at, where) for at, where, _ in found], found
    assert any(words in message and message.startswith(f"Line {line}") for _, _, message in found), found


def test_an_exam_holds_no_more_questions_than_it_may() -> None:
    found = read("question\n" + "".join(f"What is {n}?\n" for n in range(200_000)))
    assert len(found.drafts) == MOST_QUESTIONS
    assert [(fault.line, fault.path) for fault in found.faults] == [(MOST_QUESTIONS + 2, "file")]


@settings(max_examples=200)
@given(
    st.lists(st.one_of(st.text(max_size=8), st.sampled_from(["question", "answer", "\n", ",", ";", '"'])), max_size=15)
)
def test_no_text_is_too_strange(parts: list[str]) -> None:
    found = read_exam_file("".join(parts).encode("utf-8", "surrogatepass"), "csv")
    assert all(fault.line >= 1 for fault in found.faults)


CELL = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=12)


@settings(max_examples=100)
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5, unique_by=lambda row: row[0]), st.sampled_from(",;\t"))
def test_what_a_spreadsheet_writes_is_read_back(rows: list[tuple[str, str]], delimiter: str) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("question", "answer"), *rows])
    found = read(written.getvalue())
    if any("Asks the same" in fault.message for fault in found.faults):
        return  # equal but for case and punctuation
    assert [(draft["text"], draft["answers"]) for draft in found.drafts] == [
        (text, list(dict.fromkeys(part for part in answer.split("|") if part))) for text, answer in rows
    ]


@pytest.mark.parametrize(
    "text",
    [
        "question\n" + '"' * 900_000,
        "," * 900_000,
        "a\n" * 450_000,
        "question\n" + ",\n" * 300_000,
        "question" + ",x" * 400_000 + "\n" + "a\n" * 1000,
        "question,options,answer\n" + f"q,{'xy|' * 15_000},{'A;' * 30_000}\n" * 8,
        "question,options,answer\n" + f"q,a|b|c|d|e|f|g|h|i|j,{'A;' * 60_000}\n" * 8,
        "question,tags\n" + f"q,{'ab|' * 40_000}\n" * 8,
        "question,tags\n" + f"q,{('t' * 60 + '|') * 18}\n" * 800,
    ],
    ids=lambda text: text[:30],
)
def test_a_hostile_file_takes_no_long_time(text: str) -> None:
    began = time.process_time()
    assert len(read(text).faults) <= MOST_FAULTS
    assert time.process_time() - began < 2.5  # a second, on a machine without other work

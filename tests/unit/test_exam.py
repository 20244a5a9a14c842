"""An exam as it is sent: what is taken, what is refused, and when two sets of questions are the same."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import Invalid
from schema.exam import Question, answer_range, question_key, questions_hash, range_text
from schema.exam_request import Draft, NewExam, load_new_exam, load_replacement, numbered


def load(*questions: Any, **more: Any) -> NewExam:
    return load_new_exam({"title": "Plants", "questions": list(questions), **more})


def question(**given: Any) -> Draft:
    [draft] = load({"text": "Which?", **given}).drafts
    return draft


def faults(*questions: Any, **more: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        load(*questions, **more)
    return {fault.path: fault.code for fault in refused.value.errors}


class TestAnswers:
    @pytest.mark.parametrize(
        ("options", "answer", "expected"),
        [
            (["oak", "elm", "ash"], "elm", ["elm"]),
            (["oak", "elm", "ash"], " ELM. ", ["elm"]),
            (["oak", "elm", "ash"], "B", ["elm"]),
            (["oak", "elm", "ash"], "b)", ["elm"]),
            (["oak", "elm", "ash"], "B. elm", ["elm"]),
            (["oak", "elm", "ash"], 1, ["elm"]),
            (["oak", "elm", "ash"], ["A", "ash", "a"], ["oak", "ash"]),
            ([2, 3.5, "4"], 3.5, ["3.5"]),
            ([2, 3, 4], "2", ["2"]),
            (["B", "A", "C"], "A", ["A"]),
            (["oak", "elm"], None, []),
            (["oak", "elm"], [], []),
            (None, "an oak", ["an oak"]),
            (None, 42, ["42"]),
            (None, 0.5, ["0.5"]),
            (None, ["oak", "elm", "oak"], ["oak", "elm"]),
        ],
    )
    def test_become_texts(self, options: Any, answer: Any, expected: list[str]) -> None:
        assert question(options=options, answer=answer)["answers"] == expected
        assert question(options=options, answers=answer)["answers"] == expected

    @pytest.mark.parametrize(
        ("options", "answer", "code"),
        [
            (["oak", "elm"], "ash", "invalid_value"),
            (["oak", "elm"], "C", "invalid_value"),
            (["oak", "elm"], 2, "invalid_value"),
            (["oak", "elm"], -1, "invalid_value"),
            ([1, 2, 0], 1, "invalid_value"),
            (["oak", "elm"], ["oak", "ash"], "invalid_value"),
            (["oak", "Oak"], "OAK", "invalid_value"),
            (["oak", "elm"], ["oak", "Oak", "elm"], "invalid_value"),
            (["oak", "elm"], True, "wrong_type"),
            (None, {"a": 1}, "wrong_type"),
            (None, [["oak"]], "wrong_type"),
            (None, 10**700, "wrong_type"),
            (None, " ", "invalid_value"),
            (None, "x" * 501, "invalid_value"),
            (None, "a\x00", "invalid_value"),
            (None, ["x"] * 51, "invalid_value"),
        ],
    )
    def test_that_name_no_option_or_are_none(self, options: Any, answer: Any, code: str) -> None:
        assert faults({"text": "Which?", "options": options, "answer": answer}) == {"questions.0.answer": code}

    def test_given_under_both_names_are_refused(self) -> None:
        assert faults({"text": "Which?", "answer": "a", "answers": ["a"]}) == {"questions.0.answer": "invalid_value"}


class TestFields:
    def test_spaces_are_tidied_and_snake_case_is_understood(self) -> None:
        exam = load_new_exam({"title": " Plants ", "grade_band": "3-5", "questions": [{"text": " Which  tree? "}]})
        assert (exam.title, exam.grade_band, exam.drafts[0]["text"]) == ("Plants", "3-5", "Which tree?")
        assert (exam.subject, exam.context, exam.language, exam.base) == ("", "", None, None)

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"text": "x" * 2001}, "text"),
            ({"text": ""}, "text"),
            ({"text": 3}, "text"),
            ({"text": "a\u202eb"}, "text"),
            ({"options": ["only"]}, "options"),
            ({"options": list("abcdefghijk")}, "options"),
            ({"options": []}, "options"),
            ({"options": ["x" * 501, "y"]}, "options.0"),
            ({"options": ["x", " "]}, "options.1"),
            ({"options": ["x", True]}, "options.1"),
            ({"options": ["It is", " It  is"]}, "options.1"),
            ({"explanation": "x" * 2001}, "explanation"),
            ({"tags": ["x"] * 21}, "tags"),
            ({"tags": ["a\nb"]}, "tags.0"),
            ({"points": 3}, "points"),
            ({"id": "q1"}, "id"),
            ({"id": "one"}, "id"),
        ],
    )
    def test_of_a_question_beyond_their_limits(self, change: dict[str, Any], path: str) -> None:
        assert set(faults({"text": "Why?"}, {"text": "Which?", **change})) == {f"questions.1.{path}"}

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"title": "x" * 121}, "title"),
            ({"title": " "}, "title"),
            ({"subject": "x" * 201}, "subject"),
            ({"gradeBand": "x" * 51}, "gradeBand"),
            ({"language": "english"}, "language"),
            ({"context": "x" * 50_001}, "context"),
            ({"colour": "red"}, "colour"),
            ({"baseRevision": 1}, "baseRevision"),
        ],
    )
    def test_of_an_exam_beyond_their_limits(self, change: dict[str, Any], path: str) -> None:
        assert set(faults({"text": "Why?"}, **change)) == {path}

    def test_at_their_limits(self) -> None:
        texts = {"text": "x" * 2000, "options": ["y" * 500, *"abcdefghi"], "explanation": "z" * 2000}
        assert len(load(texts, context="c" * 50_000).drafts[0]["options"] or []) == 10


def test_options_may_differ_in_capitals_and_commas_alone() -> None:
    options = ["Let's eat, Ada.", "Let's eat Ada.", "let's eat, Ada."]
    for option in options:
        draft = load({"text": "Which is right?", "options": options, "answer": option}).drafts[0]
        assert (draft["options"], draft["answers"]) == (options, [option])


@pytest.mark.parametrize("field", ["questions", "options", "tags", "answer"])
def test_a_list_that_is_far_too_long_is_one_fault(field: str) -> None:
    long: list[Any] = [True] * 100_000
    body = {"title": "t", "questions": long if field == "questions" else [{"text": "Why?", field: long}]}
    with pytest.raises(Invalid) as refused:
        load_new_exam(body)
    [fault] = refused.value.errors
    assert fault.path == ("questions" if field == "questions" else f"questions.0.{field}")


class TestTheSameQuestionTwice:
    def test_is_told_with_both(self) -> None:
        with pytest.raises(Invalid) as refused:
            load({"text": "Who was it?"}, {"text": "Why?"}, {"text": " who was   IT "})
        [fault] = refused.value.errors
        assert (fault.path, fault.code) == ("questions.2.text", "duplicate_question")
        assert "questions.0.text" in fault.message

    def test_unless_there_is_something_else_to_choose_from(self) -> None:
        first, second = ({"text": "Which is right?", "options": options} for options in (["a", "b"], ["a", "c"]))
        assert len(load(first, second).drafts) == 2
        assert faults(first, first | {"options": ["b", "a"]}) == {"questions.1.text": "duplicate_question"}


class TestIds:
    def test_are_given_in_order_and_kept(self) -> None:
        drafts = load({"text": "a"}, {"text": "b"}).drafts
        questions, made = numbered(drafts, frozenset(), 0)
        assert ([one["id"] for one in questions], made) == (["q1", "q2"], 2)
        sent = [{"text": "new"}, {"id": "q2", "text": "b"}]
        kept = load_replacement({"title": "t", "questions": sent}).drafts
        questions, made = numbered(kept, frozenset({"q1", "q2"}), made)
        assert ([one["id"] for one in questions], made) == (["q3", "q2"], 3)


def as_question(draft: Draft, number: int) -> Question:
    return {**draft, "id": f"q{number}"}


TEXTS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6)
SETS = st.lists(TEXTS, min_size=1, max_size=6, unique_by=str.casefold)


class TestHash:
    @given(SETS, st.randoms(use_true_random=False))
    def test_order_ids_tags_explanations_case_and_spaces_do_not_matter(
        self, texts: list[str], luck: random.Random
    ) -> None:
        plain = [as_question(question(text=f"Is {text} so?", answer=["yes", "no"]), n) for n, text in enumerate(texts)]
        other = [
            as_question(
                question(text=f"  IS   {text.upper()} so", answer=["No.", "YES"], tags=["t"], explanation="e"), n + 50
            )
            for n, text in enumerate(texts)
        ]
        luck.shuffle(other)
        assert questions_hash(plain) == questions_hash(other)

    @pytest.mark.parametrize(
        "other",
        [
            {"text": "Which one?"},
            {"answer": "b"},
            {"answer": ["a", "b"]},
            {"answer": None},
            {"options": ["a", "b", "d"]},
            {"options": None},
        ],
    )
    def test_what_is_asked_and_answered_does(self, other: dict[str, Any]) -> None:
        usual = {"text": "Which?", "options": ["a", "b", "c"], "answer": "a"}
        first, second = (as_question(question(**body), 1) for body in (usual, usual | other))
        assert questions_hash([first]) != questions_hash([second])

    def test_one_question_more_does(self) -> None:
        one = as_question(question(text="a"), 1)
        assert questions_hash([one]) != questions_hash([one, as_question(question(text="b"), 2)])

    def test_a_minus_carries_meaning(self) -> None:
        keys = {question_key(question(text=f"What is {sign}5 doubled?")) for sign in ("", "-")}
        assert len(keys) == 2


@given(st.decimals(-1000, 1000, places=4), st.decimals(0, 10, places=4))
def test_a_range_is_read_back(low: Decimal, width: Decimal) -> None:
    assert answer_range(range_text(low, low + width)) == (float(low), float(low + width))


@pytest.mark.parametrize("answer", ["1", "from 1 to 5", "1 to x", ". to .", "1..2 to 3", "ten to one"])
def test_what_is_no_range(answer: str) -> None:
    assert answer_range(answer) is None

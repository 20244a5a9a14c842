"""What the scripted model answers when a course is made from an exam, any exam: topics by tags or in stretches, lessons
that hold each answer, and answers that are read from the lesson and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_SIGNS = {"+": " plus ", "-": " minus ", "*": " times ", "/": " by ", "=": " is ", "%": " percent ", "_": " "}
_LABELS = {"example": "A worked example", "terms": "Key terms", "questions": "Questions", "answer": "Answer"}


def _words(text: str) -> str:
    """The words of a text alone: the same for the lesson's writer and for its reader."""
    return " ".join(re.findall(r"[^\W_]+", text.translate(str.maketrans(_SIGNS)).casefold()))


#: Signs that mean nothing in Markdown, wherever they stand.
_PLAIN = re.compile(r"\(?[^\W_](?:[^\W_]|[ ,.;:?!'’“”\"()/%$-])*")


def _shown(text: str) -> str:
    """A text as a lesson shows it, the same for the lesson's writer and for its reader: as it is where it holds no
    markup."""
    line = " ".join(text.split())
    return line if _PLAIN.fullmatch(line) else _words(text)


def _topics(facts: dict[str, Any]) -> dict[str, Any]:
    questions = facts["questions"]
    fewest, most = facts["fewestTopics"], facts["mostTopics"]
    groups: dict[str, list[int]] = {}
    for one in questions:
        groups.setdefault(one.get("tags", [""])[0], []).append(one["number"])
    if not fewest <= len(groups) <= most or "" in groups:
        count, total = (fewest + most + 1) // 2, len(questions)
        stretches = [questions[total * at // count : total * (at + 1) // count] for at in range(count)]
        groups = {_name_of(part, at): [one["number"] for one in part] for at, part in enumerate(stretches, start=1)}
    return {"topics": [{"name": name, "questions": part} for name, part in groups.items()], "labels": _LABELS}


def _name_of(questions: list[dict[str, Any]], number: int) -> str:
    longest = sorted(_words(questions[0]["question"]).split(), key=len)[-1:] or ["things"]
    return f"Part {number}: {longest[0]}"


def _placed(facts: dict[str, Any]) -> dict[str, Any]:
    topics = len(facts["topics"])
    return {"questions": [{"number": one["number"], "topic": 1 + one["number"] % topics} for one in facts["questions"]]}


def _merged(facts: dict[str, Any]) -> dict[str, Any]:
    """Topics of one name, or that share questions, are one; then neighbours, until there are few enough."""
    merged: list[dict[str, Any]] = []
    for one in facts["topics"]:
        same = next(
            (
                other
                for other in merged
                if other["name"] == one["name"] or not set(other["parts"]).isdisjoint(one["sharesQuestionsWith"])
            ),
            None,
        )
        if same is None:
            merged.append({"name": one["name"], "parts": [one["number"]]})
        else:
            same["parts"].append(one["number"])
    while len(merged) > facts["mostTopics"]:
        merged[-2]["parts"] += merged.pop()["parts"]
    return {"topics": merged}


def _lesson(facts: dict[str, Any]) -> dict[str, Any]:
    first = facts["questions"][0]
    about = _shown(facts["topic"])
    return {
        "title": _title(_shown(first["question"])) or about,
        "objectives": [f"Answer: {_shown(one['question'])}" for one in facts["questions"][:3]],
        "sections": [
            {
                "title": "What to know",
                "body": "\n\n".join(["Read each question slowly, then its answer.", *map(_taught, facts["questions"])]),
            },
            {"title": "Look again", "body": "Cover the answers and say each in your own words."},
        ],
        "example": f"You are asked: *{_shown(first['question'])}* Look for it above, then write its answer down.",
        "terms": [{"term": about, "meaning": "what the questions of this lesson have in common."}],
        "explanations": [
            {
                "number": one["number"],
                "explanation": "The lesson says so in plain words."
                if one.get("answers")
                else "Its answer depends on who is asked, and when.",
            }
            for one in facts["questions"]
        ],
    }


def _title(question: str) -> str:
    """A question of some words, or the beginning of a long one; empty for others."""
    cut = question if len(question) <= 90 else question[:90].rpartition(" ")[0] + " ..."
    return cut if len(cut.split()) > 3 else ""


def _taught(one: dict[str, Any]) -> str:
    if not one.get("answers"):
        return f"**{_shown(one['question'])}** Find this out for yourself."
    return f"**{_shown(one['question'])}** The answer is {_quoted(one['answers'])}."


def _quoted(answers: list[str]) -> str:
    first, *others = [
        f"*{' '.join(one.split())}*" if _shown(one) == " ".join(one.split()) else f"`{_in_code(one)}`"
        for one in answers
    ]
    return f"{first}. Right as well: {', '.join(others)}" if others else first


def _in_code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())


def _answers(facts: dict[str, Any]) -> dict[str, Any]:
    """From the lesson alone: this side has no memory of what it wrote."""
    answers = []
    for one in facts["questions"]:
        pattern = rf"\*\*{re.escape(_shown(one['question']))}\*\* The answer is (?:\*([^*]*)\*|`([^`]*)`)"
        found = re.search(pattern, facts["lesson"])
        said = (found[1] or found[2] or "") if found else ""
        answers.append({"number": one["number"], "found": found is not None, "answer": said})
    return {"answers": answers}


def _same(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "verdicts": [
            {"number": one["number"], "same": _words(one["given"]) in {_words(other) for other in one["accepted"]}}
            for one in facts["questions"]
        ]
    }


ANSWERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "exam_topics": _topics,
    "exam_placed": _placed,
    "exam_merged": _merged,
    "exam_lesson": _lesson,
    "exam_lesson_anew": _lesson,
    "exam_answers": _answers,
    "exam_same": _same,
}
#: What a question is for, by the name of its schema.
PURPOSES = {
    "exam_topics": "topics",
    "exam_placed": "topics",
    "exam_merged": "topics",
    "exam_lesson": "lessons",
    "exam_lesson_anew": "repair",
    "exam_answers": "verify",
    "exam_same": "verify",
}


def with_wrong_answers(value: Any, count: int) -> Any:
    """The first ``count`` answers otherwise than they should be: those a lesson teaches, or those read from one."""
    for one in value.get("answers", [])[:count]:
        if "found" in one:
            one["answer"] = "something else"
    for section in value.get("sections", [])[:1]:
        section["body"] = re.sub(
            r"The answer is (?:\*[^*]*\*|`[^`]*`)", "The answer is *something else*", section["body"], count=count
        )
    return value


def with_doubled_questions(value: Any) -> Any:
    """The first question of all in every topic."""
    topics = value.get("topics", [])
    for topic in topics[1:]:
        if "questions" in topic:
            topic["questions"].insert(0, topics[0]["questions"][0])
    return value


def with_questions_missing(value: Any, count: int) -> Any:
    """Topics without the last ``count`` questions, places without the first ``count``."""
    if "labels" in value:
        last = value["topics"][-1]["questions"]
        del last[max(1, len(last) - count) :]
    elif "questions" in value:
        del value["questions"][:count]
    return value

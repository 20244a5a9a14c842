"""Topics in the questions of an exam: one question to the model over all of them; where they are too many for one, in
parts that share some questions, and one more question to merge what was found.

That every question gets exactly one topic is looked after here. What the model leaves out is asked for again, with the
topics listed; of two topics for one question the first counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from schema.errors import Transient
from schema.exam import Question
from tasks.clients.loop import side_by_side
from tasks.clients.text import Ask
from tasks.strategies.exam_schemas import MERGED, PLACED, TOPICS
from tasks.strategies.exam_sorting import (
    CONTEXT_TOKENS,
    LABELS,
    Detected,
    Named,
    bounds,
    entry,
    left_out,
    once,
    overlapping,
)
from tasks.strategies.llm_asking import Complete, ask, one_line

#: How often what was left out is asked for.
PLACING_ROUNDS = 2
LONGEST_LABEL = 60


async def detect(
    questions: Sequence[Question], language: str, complete: Complete, context_tokens: int = CONTEXT_TOKENS
) -> Detected:
    """The topics of these questions. Raises ``Transient`` (``topics_incomplete``) when some stay without one, or the
    number of topics is out of bounds: another run may do better."""
    parts = overlapping(questions, context_tokens)
    if len(parts) == 1:
        found = await _proposed(parts[0], language, bounds(len(questions)), complete)
    else:
        each = await side_by_side(_proposed(part, language, (1, bounds(len(part))[1]), complete) for part in parts)
        texts = {question["id"]: question["text"] for question in questions}
        topics = [topic for one in each for topic in one.topics]
        found = Detected(await _merged(topics, texts, language, bounds(len(questions)), complete), each[0].labels)
    return Detected(await _placed(found.topics, questions, language, context_tokens, complete), found.labels)


# --- asking -----------------------------------------------------------------------------------------------------


async def _proposed(
    questions: Sequence[Question], language: str, wanted: tuple[int, int], complete: Complete
) -> Detected:
    """What the model says about some questions, cleaned: no unknown question, none twice, no empty topic."""
    ids = {number: question["id"] for number, question in enumerate(questions, start=1)}
    facts: dict[str, Any] = {"language": language, "fewestTopics": wanted[0], "mostTopics": wanted[1]}
    facts["questions"] = [entry(number, one) for number, one in enumerate(questions, start=1)]
    complaint = ""
    for _ in range(2):
        answer = await complete(
            _question("exam_topics", "exam_topics", TOPICS, facts, wanted=_range(wanted), complaint=complaint)
        )
        topics = once((one["name"], [ids.get(number) for number in one["questions"]]) for one in answer["topics"])
        if wanted[0] <= len(topics) <= wanted[1]:
            labels = {key: one_line(answer["labels"][key], LONGEST_LABEL) or word for key, word in LABELS.items()}
            return Detected(topics, labels)
        complaint = _complaint(topics, wanted)
        facts["lastTopics"] = [topic.name for topic in topics]
    raise _incomplete(f"It gave another number of them than {_range(wanted)}.", [])


async def _merged(
    topics: Sequence[Named], texts: dict[str, str], language: str, wanted: tuple[int, int], complete: Complete
) -> tuple[Named, ...]:
    """The topics of all parts as the topics of the whole. One the model doesn't mention stays as it is."""
    shown = [
        {
            "number": number,
            "name": topic.name,
            "examples": [texts[question] for question in topic.questions[:3]],
            "sharesQuestionsWith": [
                at
                for at, other in enumerate(topics, start=1)
                if at != number and not set(other.questions).isdisjoint(topic.questions)
            ],
        }
        for number, topic in enumerate(topics, start=1)
    ]
    facts = {"language": language, "fewestTopics": wanted[0], "mostTopics": wanted[1], "topics": shown}
    complaint = ""
    for _ in range(2):
        answer = await complete(
            _question("exam_merge", "exam_merged", MERGED, facts, wanted=_range(wanted), complaint=complaint)
        )
        merged = [(one["name"], _of_parts(topics, one["parts"])) for one in answer["topics"]]
        whole = once([*merged, *((topic.name, list(topic.questions)) for topic in topics)])
        if wanted[0] <= len(whole) <= wanted[1]:
            return whole
        complaint = _complaint(whole, wanted)
        facts["lastTopics"] = [topic.name for topic in whole]
    raise _incomplete(f"It gave another number of them than {_range(wanted)}.", [])


def _of_parts(topics: Sequence[Named], numbers: Iterable[int]) -> list[str | None]:
    return [question for number in numbers if 1 <= number <= len(topics) for question in topics[number - 1].questions]


async def _placed(
    topics: tuple[Named, ...],
    questions: Sequence[Question],
    language: str,
    context_tokens: int,
    complete: Complete,
) -> tuple[Named, ...]:
    """The topics with every question in one: those without are asked for again, and nothing else."""
    for _ in range(PLACING_ROUNDS):
        missing = left_out(topics, questions)
        if not missing:
            return topics
        answers = await side_by_side(
            _places(part, topics, language, complete) for part in overlapping(missing, context_tokens)
        )
        more: dict[int, list[str]] = {}
        for question, topic in (found for answer in answers for found in answer):
            more.setdefault(topic, []).append(question)
        topics = once((topic.name, [*topic.questions, *more.get(at, [])]) for at, topic in enumerate(topics))
    if missing := left_out(topics, questions):
        words = f"The model gave no topic to {len(missing)} of {len(questions)} questions."
        raise _incomplete(words, [question["id"] for question in missing])
    return topics


async def _places(
    questions: Sequence[Question], topics: Sequence[Named], language: str, complete: Complete
) -> list[tuple[str, int]]:
    """For questions, the place of the topic each belongs to. What can't be read is left out."""
    facts = {
        "language": language,
        "topics": [{"number": number, "name": topic.name} for number, topic in enumerate(topics, start=1)],
        "questions": [entry(number, one) for number, one in enumerate(questions, start=1)],
    }
    answer = await complete(_question("exam_left_out", "exam_placed", PLACED, facts))
    return [
        (questions[one["number"] - 1]["id"], one["topic"] - 1)
        for one in answer["questions"]
        if 1 <= one["number"] <= len(questions) and 1 <= one["topic"] <= len(topics)
    ]


def _question(name: str, schema_name: str, schema: dict[str, Any], facts: dict[str, Any], **words: str) -> Ask:
    return ask("topics", name, schema_name, schema, facts, **words)


def _range(wanted: tuple[int, int]) -> str:
    fewest, most = wanted
    return f"exactly {most}" if fewest == most else f"{fewest} to {most}"


def _complaint(topics: Sequence[Named], wanted: tuple[int, int]) -> str:
    """Names are facts as well: they may come from the exam."""
    had = f'Your last answer had {len(topics)} topics (under "lastTopics"), {_range(wanted)} are wanted.'
    return f"{had} Answer again, completely."


def _incomplete(words: str, missing: list[str]) -> Transient:
    return Transient(
        f"The questions could not be put into topics. {words}", code="topics_incomplete", details={"missing": missing}
    )

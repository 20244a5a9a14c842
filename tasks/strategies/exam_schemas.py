"""The shapes a model answers in when it makes a course from an exam; see ``llm_schemas`` for what they may use."""

from __future__ import annotations

from tasks.strategies.llm_schemas import flag, many, text, thing, whole

_NUMBERS = many(whole("The number of a question."), "Each question of the exam stands in exactly one topic.")
_NUMBER = whole("The number given in the request.")

TOPICS = thing(
    topics=many(thing(name=text("Name of the topic, 1 to 6 words."), questions=_NUMBERS), "In teaching order."),
    labels=thing(
        example=text("Heading over a worked example."),
        terms=text("Heading over key terms."),
        questions=text("Heading over the questions."),
        answer=text("The word before the answer of a question."),
    ),
)

PLACED = thing(
    questions=many(
        thing(number=_NUMBER, topic=whole("The number of the topic it belongs to.")), "One entry per question."
    )
)

MERGED = thing(
    topics=many(
        thing(
            name=text("Name of the topic, 1 to 6 words."),
            parts=many(whole("The number of a listed topic."), "The listed topics that are this one."),
        ),
        "In teaching order.",
    )
)

LESSON = thing(
    title=text("Title of the lesson."),
    objectives=many({"type": "string"}, "What a learner can do afterwards."),
    sections=many(
        thing(title=text("Title of the section."), body=text("Markdown without headings, links and HTML.")),
        "1 to 4 sections, in reading order.",
    ),
    example=text("A worked example in Markdown."),
    terms=many(thing(term=text("A key term."), meaning=text("What it means.")), "2 to 8 key terms."),
    explanations=many(
        thing(number=_NUMBER, explanation=text("Why its answer is right, in one to three sentences.")),
        "One per question.",
    ),
)

ANSWERS_FROM_LESSON = thing(
    answers=many(
        thing(
            number=_NUMBER,
            found=flag("Whether the lesson says what answers the question."),
            answer=text("The answer; of a question with options the text of one, word for word. Empty when not found."),
        ),
        "One answer per question.",
    )
)

SAME_MEANING = thing(
    verdicts=many(
        thing(number=_NUMBER, same=flag("Whether the given answer means the same as an accepted one.")),
        "One verdict per question.",
    )
)

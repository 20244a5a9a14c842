"""The shapes a model answers in, as JSON Schemas in the subset that every server's strict mode knows: every property
required, none besides, no limits on lengths or counts (code looks at those)."""

from __future__ import annotations

from typing import Any

JsonSchema = dict[str, Any]


def thing(**properties: JsonSchema) -> JsonSchema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def text(description: str) -> JsonSchema:
    return {"type": "string", "description": description}


def whole(description: str) -> JsonSchema:
    return {"type": "integer", "description": description}


def number(description: str) -> JsonSchema:
    return {"type": "number", "description": description}


def flag(description: str) -> JsonSchema:
    return {"type": "boolean", "description": description}


def many(entry: JsonSchema, description: str) -> JsonSchema:
    return {"type": "array", "items": entry, "description": description}


_OBJECTIVES = many({"type": "integer"}, "Numbers of the objectives, counted from 1.")

PLAN = thing(
    title=text("Title of the course."),
    description=text("One or two sentences about what is learned."),
    objectives=many({"type": "string"}, "What a learner can do afterwards."),
    groups=many(
        thing(
            name=text("Name of the theme."),
            subtopics=many(
                thing(
                    name=text("One fact, idea or kind of task, in 2 to 10 words."),
                    objective=whole("Number of the objective it serves, counted from 1."),
                ),
                "Each becomes one exercise.",
            ),
        ),
        "2 to 5 themes.",
    ),
    studyTexts=many(
        thing(title=text("Title of the text."), brief=text("What the text explains."), objectives=_OBJECTIVES),
        "Texts to read before practising.",
    ),
)

_AROUND = {
    "hint": text("Helps without giving the answer away."),
    "explanation": text("Why the answer is right."),
}
_HEAD = {
    "number": whole("The number given in the request."),
    "question": text("A statement with exactly one gap, written [blank]."),
}

OPTION_ITEMS = thing(
    items=many(
        thing(
            **_HEAD,
            correct_answer=text("What fills the gap."),
            distractors=many(
                thing(text=text("A wrong answer of the same kind."), reason=text("Why it is wrong.")),
                "Exactly three.",
            ),
            **_AROUND,
        ),
        "One exercise per number.",
    )
)

NUMERIC_ITEMS = thing(
    items=many(thing(**_HEAD, answer=number("The number that fills the gap."), **_AROUND), "One exercise per number.")
)

_SECTION = {"title": text("Title of the section."), "body": text("Markdown without headings and links.")}

STUDY_TEXT = thing(sections=many(thing(**_SECTION), "2 to 5 sections, in reading order."))

ILLUSTRATED_TEXT = thing(
    sections=many(
        thing(**_SECTION, picture=text("What a picture for this section shows; empty when it needs none.")),
        "2 to 5 sections, in reading order.",
    )
)

_CONFIDENCE = number("From 0 to 1.")

OPTION_ANSWERS = thing(
    answers=many(
        thing(
            number=whole("The number of the question."),
            answer=text("The text of the chosen option, word for word."),
            confidence=_CONFIDENCE,
        ),
        "One answer per question.",
    )
)

NUMERIC_ANSWERS = thing(
    answers=many(
        thing(
            number=whole("The number of the question."),
            answer=number("The number that fills the gap."),
            confidence=_CONFIDENCE,
        ),
        "One answer per question.",
    )
)

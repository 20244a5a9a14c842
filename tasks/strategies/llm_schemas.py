"""The shapes a model answers in, as JSON Schemas in the subset that every server's strict mode knows: every property
required, none besides, no limits on lengths or counts (code looks at those)."""

from __future__ import annotations

from typing import Any

JsonSchema = dict[str, Any]


def _thing(**properties: JsonSchema) -> JsonSchema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _text(description: str) -> JsonSchema:
    return {"type": "string", "description": description}


def _whole(description: str) -> JsonSchema:
    return {"type": "integer", "description": description}


def _number(description: str) -> JsonSchema:
    return {"type": "number", "description": description}


def _many(entry: JsonSchema, description: str) -> JsonSchema:
    return {"type": "array", "items": entry, "description": description}


_OBJECTIVES = _many({"type": "integer"}, "Numbers of the objectives, counted from 1.")

PLAN = _thing(
    title=_text("Title of the course."),
    description=_text("One or two sentences about what is learned."),
    objectives=_many({"type": "string"}, "What a learner can do afterwards."),
    groups=_many(
        _thing(
            name=_text("Name of the theme."),
            subtopics=_many(
                _thing(
                    name=_text("One fact, idea or kind of task, in 2 to 10 words."),
                    objective=_whole("Number of the objective it serves, counted from 1."),
                ),
                "Each becomes one exercise.",
            ),
        ),
        "2 to 5 themes.",
    ),
    studyTexts=_many(
        _thing(title=_text("Title of the text."), brief=_text("What the text explains."), objectives=_OBJECTIVES),
        "Texts to read before practising.",
    ),
)

_AROUND = {
    "hint": _text("Helps without giving the answer away."),
    "explanation": _text("Why the answer is right."),
}
_HEAD = {
    "number": _whole("The number given in the request."),
    "question": _text("A statement with exactly one gap, written [blank]."),
}

OPTION_ITEMS = _thing(
    items=_many(
        _thing(
            **_HEAD,
            correct_answer=_text("What fills the gap."),
            distractors=_many(
                _thing(text=_text("A wrong answer of the same kind."), reason=_text("Why it is wrong.")),
                "Exactly three.",
            ),
            **_AROUND,
        ),
        "One exercise per number.",
    )
)

NUMERIC_ITEMS = _thing(
    items=_many(
        _thing(**_HEAD, answer=_number("The number that fills the gap."), **_AROUND), "One exercise per number."
    )
)

_SECTION = {"title": _text("Title of the section."), "body": _text("Markdown without headings and links.")}

STUDY_TEXT = _thing(sections=_many(_thing(**_SECTION), "2 to 5 sections, in reading order."))

ILLUSTRATED_TEXT = _thing(
    sections=_many(
        _thing(**_SECTION, picture=_text("What a picture for this section shows; empty when it needs none.")),
        "2 to 5 sections, in reading order.",
    )
)

_CONFIDENCE = _number("From 0 to 1.")

OPTION_ANSWERS = _thing(
    answers=_many(
        _thing(
            number=_whole("The number of the question."),
            answer=_text("The text of the chosen option, word for word."),
            confidence=_CONFIDENCE,
        ),
        "One answer per question.",
    )
)

NUMERIC_ANSWERS = _thing(
    answers=_many(
        _thing(
            number=_whole("The number of the question."),
            answer=_number("The number that fills the gap."),
            confidence=_CONFIDENCE,
        ),
        "One answer per question.",
    )
)

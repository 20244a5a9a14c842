"""Valid courses in proper form for hypothesis: ``check`` finds no error, ``normalize_course`` has nothing to do."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from schema.problem import errors_of
from schema.rules import check
from schema.wording import fold_option, tidy
from tests.factories import course, numeric_item, option_item, study_text

#: Unit tests do no I/O, so hypothesis keeps no database of examples.
SETTINGS = settings(database=None, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

_CHARACTERS = st.characters(codec="utf-8", categories=("L", "N", "P", "S"), exclude_characters="[]_`\\")
words = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzäéßABC"), min_size=2, max_size=9)
phrases = st.lists(words, min_size=1, max_size=6).map(" ".join)
odd_phrases = st.lists(st.text(_CHARACTERS, min_size=1, max_size=8), min_size=1, max_size=4).map(" ".join)


@st.composite
def option_items(draw: st.DrawFn, item_id: int = 0) -> dict[str, Any]:
    options = draw(st.lists(phrases | odd_phrases, min_size=3, max_size=4, unique_by=fold_option))
    optional = draw(
        st.fixed_dictionaries({}, optional={"hint": phrases, "explain": odd_phrases, "answer": st.integers(0, 99)})
    )
    end = draw(st.sampled_from([".", "?", ""]))
    item = option_item(
        item_id,
        text=f"{draw(phrases)} {draw(phrases | odd_phrases)} [blank] {draw(phrases)}{end}",
        options=options,
        correctIndex=draw(st.integers(0, len(options) - 1)),
    )
    return {key: value for key, value in item.items() if key not in {"hint", "explain"}} | optional


@st.composite
def numeric_items(draw: st.DrawFn, item_id: int = 0) -> dict[str, Any]:
    return numeric_item(item_id, a=item_id, b=draw(st.integers(-1000, 1000)))


@st.composite
def markdown(draw: st.DrawFn) -> str:
    """A study text with what Markdown needs spaces for: nested lists, hard line breaks, code."""
    lines = [f"[SECTION:{draw(phrases)}]", ""]
    block = st.one_of(
        phrases,
        phrases.map(lambda line: f"{line}  \n{line}"),
        phrases.map(lambda line: f"- {line}\n    - {line}"),
        phrases.map(lambda line: f"```\nif  x:\n    {line}   #\n```"),
        phrases.map(lambda line: f"the code `a  b` and {line}"),
        phrases.map(lambda line: f"[IMAGE: {line}]"),
    )
    for part in draw(st.lists(block, min_size=1, max_size=5)):
        lines += [part, ""]
    return tidy("\n".join(lines))


@st.composite
def valid_courses(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(st.integers(1, 6))
    items = [draw(st.one_of(option_items(item_id), numeric_items(item_id))) for item_id in range(count)]
    return course(
        title=draw(phrases),
        items=items,
        studyTexts=[study_text(0, content=draw(markdown()))],
        tags=draw(st.lists(phrases)),
    )


#: Courses without errors. The few drawn ones that break a rule by chance are left out.
sound_courses = valid_courses().filter(lambda drawn: not errors_of(check(drawn)))

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
json_objects = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), json_values, max_size=4)
json_documents = json_objects | st.lists(json_values, max_size=4)

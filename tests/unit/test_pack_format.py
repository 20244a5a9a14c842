from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from schema.errors import Invalid
from schema.pack import check_pack, fold, load_pack, wrong_answers

COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "brown", "grey", "black", "white", "pink", "gold")


def template(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"t{number}",
        "group": "g1",
        "fact": "f1",
        "goal": "goal1",
        "text": f"Flag {number} has the colour [blank].",
        "answer": COLOURS[number],
        "distractorSet": "colours",
    } | changes


def sound() -> dict[str, Any]:
    """The smallest pack that keeps every promise."""
    return {
        "format": 1,
        "id": "flags-g3",
        "version": 1,
        "topic": "Flags",
        "aliases": ["flag colours"],
        "subject": "Geography",
        "language": "en",
        "grades": {"lowest": 2, "highest": 4},
        "gradeBand": "3-5",
        "title": "Flags",
        "description": "Colours of flags.",
        "maxReadingLevel": 4.0,
        "goals": [{"id": "goal1", "text": "Name colours."}],
        "sources": [{"id": "s1", "title": "Flags", "publisher": "A museum", "url": "https://flags.example/"}],
        "facts": [{"id": "f1", "text": "Flags have colours.", "sources": ["s1"]}],
        "vocabulary": {"allowed": [], "banned": ["ugly"]},
        "groups": [{"id": "g1", "name": "Colours"}],
        "distractorSets": {"colours": list(COLOURS)},
        "templates": [template(number) for number in range(12)],
        "sections": [
            {
                "id": "sec1",
                "title": "Colours",
                "goals": ["goal1"],
                "content": "[SECTION:Look]\n\nA flag is seen from afar.\n\n[IMAGE: three flags]",
            }
        ],
        "diagrams": [{"shows": "three flags", "kind": "flow", "spec": {}}],
        "blueprint": {"optionsPerItem": 4, "variantsPerFact": 3},
    }


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    pack = sound()
    change(pack)
    return pack


def put(*path: str | int, to: Any) -> Callable[[dict[str, Any]], None]:
    """A change: what stands at ``path`` becomes ``to``."""

    def change(pack: dict[str, Any]) -> None:
        *way, last = path
        place: Any = pack
        for step in way:
            place = place[step]
        place[last] = to

    return change


def drop(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def change(pack: dict[str, Any]) -> None:
        *way, last = path
        place: Any = pack
        for step in way:
            place = place[step]
        del place[last]

    return change


def both(*changes: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def change(pack: dict[str, Any]) -> None:
        for one in changes:
            one(pack)

    return change


def test_a_sound_pack_is_taken_as_it_is() -> None:
    pack = load_pack(sound())
    assert pack == sound()
    assert check_pack(pack) == []


#: What is broken, how, and the one fault it must give: where, and words of it.
PROMISES: list[tuple[str, Callable[[dict[str, Any]], None], str, str]] = [
    *(
        (f"an id twice in {part}", lambda pack, part=part: pack[part].append(dict(pack[part][0])), part, "same id")
        for part in ("goals", "sources", "facts")
    ),
    ("an id twice in sections", lambda pack: pack["sections"].append(dict(pack["sections"][0])), "sections", "same id"),
    ("an id twice in templates", put("templates", 1, "id", to="t0"), "templates", "same id"),
    ("grades upside down", put("grades", to={"lowest": 5, "highest": 4}), "grades", "above"),
    ("a fact without its source", put("facts", 0, "sources", to=["nowhere"]), "facts.0.sources", "'nowhere'"),
    (
        "a template of no group",
        lambda pack: pack["templates"].append(template(0, id="x", text="A [blank] sun.", group="nowhere")),
        "templates.12 (x)",
        "'nowhere' in groups",
    ),
    ("a template of no fact", put("templates", 3, "fact", to="nowhere"), "templates.3 (t3)", "'nowhere' in facts"),
    ("a template of no goal", put("templates", 3, "goal", to="nowhere"), "templates.3 (t3)", "'nowhere' in goals"),
    ("no blank", put("templates", 3, "text", to="No place here."), "templates.3 (t3)", "exactly one [blank]"),
    ("two blanks", put("templates", 3, "text", to="[blank] or [blank]."), "templates.3 (t3)", "exactly one [blank]"),
    ("the answer in the text", put("templates", 3, "text", to="Yellow is [blank]."), "templates.3 (t3)", "stands in"),
    (
        "both kinds of wrong answers",
        put("templates", 3, "distractors", to=["a", "b", "c"]),
        "templates.3 (t3)",
        "either",
    ),
    (
        "a wrong answer twice",
        both(drop("templates", 3, "distractorSet"), put("templates", 3, "distractors", to=["a", "b", "B!"])),
        "templates.3 (t3)",
        "all different",
    ),
    (
        "the answer among the wrong ones",
        both(drop("templates", 3, "distractorSet"), put("templates", 3, "distractors", to=["a", "b", "Yellow."])),
        "templates.3 (t3)",
        "among the wrong",
    ),
    ("an explanation of no option", put("templates", 3, "wrong", to={"mauve": "No."}), "templates.3 (t3)", "explains"),
    (
        "the same sentence twice",
        both(
            put("templates", 3, "text", to="FLAG 2, has the colour [blank]"), put("templates", 3, "answer", to="blue")
        ),
        "templates.3 (t3)",
        "same sentence",
    ),
    ("too few in a group", drop("templates", 11), "groups.g1", "Offers 11 templates; at least 12"),
    ("a section of no goal", put("sections", 0, "goals", to=["nowhere"]), "sections.0.goals", "'nowhere' in goals"),
    (
        "a section without a marker",
        put("sections", 0, "content", to="Words. [IMAGE: three flags]"),
        "sections.0.content",
        "[SECTION:Title]",
    ),
    ("a marker nobody draws", put("diagrams", to=[]), "diagrams", "No diagram shows 'three flags'"),
    (
        "a drawing nobody shows",
        lambda pack: pack["diagrams"].append({"shows": "a map", "kind": "flow", "spec": {}}),
        "diagrams",
        "No section has a marker for 'a map'",
    ),
]


@pytest.mark.parametrize(("what", "change", "path", "words"), PROMISES, ids=[promise[0] for promise in PROMISES])
def test_a_broken_promise_is_named(what: str, change: Callable[[dict[str, Any]], None], path: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        load_pack(changed(change))
    assert [(error.path, error.code) for error in caught.value.errors] == [(path, "inconsistent")]
    assert words in caught.value.errors[0].message


def test_a_set_that_is_not_there_is_named_beside_what_follows_from_it() -> None:
    with pytest.raises(Invalid) as caught:
        load_pack(changed(put("templates", 3, "distractorSet", to="nowhere")))
    assert caught.value.errors[0].message == "There is no distractorSet 'nowhere'."
    assert {error.path for error in caught.value.errors} == {"templates.3 (t3)"}


def test_a_template_with_neither_kind_of_wrong_answers_is_refused() -> None:
    with pytest.raises(Invalid, match="either distractors or a distractorSet"):
        load_pack(changed(drop("templates", 3, "distractorSet")))


def test_every_broken_promise_is_named_at_once() -> None:
    change = both(put("facts", 0, "sources", to=["nowhere"]), put("diagrams", to=[]), drop("templates", 11))
    with pytest.raises(Invalid) as caught:
        load_pack(changed(change))
    assert [error.path for error in caught.value.errors] == ["facts.0.sources", "groups.g1", "diagrams"]


FORM: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (put("format", to=2), "format"),
    (put("version", to=0), "version"),
    (put("version", to="1"), "version"),
    (put("id", to="Flags"), "id"),
    (put("id", to="flags\n"), "id"),
    (put("topic", to=""), "topic"),
    (put("colour", to="blue"), "colour"),
    (put("grades", "lowest", to=-1), "grades.lowest"),
    (put("grades", "middle", to=1), "grades.middle"),
    (put("maxReadingLevel", to="4"), "maxReadingLevel"),
    (put("goals", to=[]), "goals"),
    (put("sources", 0, "url", to="http://flags.example/"), "sources.0.url"),
    (put("facts", 0, "sources", to=[]), "facts.0.sources"),
    (put("distractorSets", "colours", to=["a", "b", "c"]), "distractorSets.colours.value"),
    (put("templates", 0, "distractors", to=["a", "b"]), "templates.0.distractors"),
    (put("templates", 0, "correctIndex", to=0), "templates.0.correctIndex"),
    (put("templates", 0, "answer", to=7), "templates.0.answer"),
    (put("diagrams", 0, "kind", to="photo"), "diagrams.0.kind"),
    (put("blueprint", "optionsPerItem", to=5), "blueprint.optionsPerItem"),
    (put("blueprint", "variantsPerFact", to=True), "blueprint.variantsPerFact"),
    *((drop(part), part) for part in sorted(sound())),
    *(
        (drop("templates", 0, part), f"templates.0.{part}")
        for part in ("id", "group", "fact", "goal", "text", "answer")
    ),
]


@pytest.mark.parametrize(("change", "path"), FORM, ids=[f"{number}-{case[1]}" for number, case in enumerate(FORM)])
def test_a_fault_of_form_is_named(change: Callable[[dict[str, Any]], None], path: str) -> None:
    with pytest.raises(Invalid) as caught:
        load_pack(changed(change))
    assert [error.path for error in caught.value.errors] == [path]


class TestWrongAnswers:
    def test_own_ones_go_before_a_set(self) -> None:
        pack = load_pack(sound())
        own: Any = template(0, distractors=["a", "b", "c"])
        assert wrong_answers(pack, own) == ["a", "b", "c"]

    def test_of_a_set_the_answer_is_left_out_however_it_is_written(self) -> None:
        pack = load_pack(sound())
        for answer in ("red", "Red", "RED."):
            given: Any = template(0, answer=answer)
            assert wrong_answers(pack, given) == list(COLOURS[1:])


@pytest.mark.parametrize(
    ("text", "folded"),
    [("The Water  Cycle!", "the water cycle"), ("U.S. civics", "u s civics"), ("a_b-c", "a b c"), ("Größe", "grösse")],
)
def test_folding_leaves_letters_and_digits(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert fold(folded) == folded


def test_reading_a_pack_changes_nothing_in_what_was_given() -> None:
    given = sound()
    before = copy.deepcopy(given)
    load_pack(given)
    assert given == before

from __future__ import annotations

import copy
from typing import Any, cast

import pytest

from schema.course import Course
from schema.errors import Permanent
from schema.markers import image_markers
from tasks.packs import shelf
from tasks.steps.attach import with_picture
from tests.factories import course, study_text

PATH = "/content/media/ab12.png"


def drawn(content: str, other: str = "[SECTION:Other]\n\nWords. [IMAGE: a leaf]") -> Course:
    return cast(Course, course(studyTexts=[study_text(0, content=content), study_text(1, content=other)]))


def target(marker: str = "a leaf", text_id: str = "text-1") -> dict[str, Any]:
    return {"type": "study_text", "id": text_id, "marker": marker}


def content_of(changed: Course, place: int = 0) -> str:
    return changed["studyTexts"][place]["content"]


def test_the_marker_becomes_the_picture_with_its_words() -> None:
    changed = with_picture(drawn("Before [IMAGE: a leaf] after."), target(), PATH)
    assert content_of(changed) == f"Before ![a leaf]({PATH}) after."


def test_nothing_else_of_the_course_changes_and_the_given_one_not_at_all() -> None:
    given = drawn("[IMAGE: a leaf]")
    before = copy.deepcopy(given)
    changed = with_picture(given, target(), PATH)
    assert given == before
    assert content_of(changed, 1) == content_of(given, 1), "the same marker in another text is another picture"
    changed["studyTexts"][0]["content"] = content_of(given)
    assert changed == given


@pytest.mark.parametrize("marker", ["[IMAGE:a leaf]", "[IMAGE:   a leaf  ]", "[IMAGE:\na leaf\n]"])
def test_spaces_around_the_words_do_not_count(marker: str) -> None:
    assert content_of(with_picture(drawn(f"x {marker} y"), target(), PATH)) == f"x ![a leaf]({PATH}) y"


def test_only_the_very_marker_is_replaced() -> None:
    content = "[IMAGE: a leaflet] [IMAGE: not a leaf] [IMAGE: A leaf] [IMAGE: a leaf]"
    assert content_of(with_picture(drawn(content), target(), PATH)) == content.replace(
        "[IMAGE: a leaf]", f"![a leaf]({PATH})"
    )


def test_the_same_marker_twice_is_two_pictures_one_after_the_other() -> None:
    once = with_picture(drawn("[IMAGE: a leaf] and [IMAGE: a leaf]"), target(), "/one.png")
    assert content_of(once) == "![a leaf](/one.png) and [IMAGE: a leaf]"
    assert content_of(with_picture(once, target(), "/two.png")) == "![a leaf](/one.png) and ![a leaf](/two.png)"


@pytest.mark.parametrize("marker", ["1 + 1 (two)", r"a \1 back\slash", "a.c", "^$|*?", "100 %", "x{2}", "größer"])
def test_words_that_mean_something_to_patterns_are_only_words(marker: str) -> None:
    changed = with_picture(drawn(f"[IMAGE: abc] [IMAGE: {marker}]"), target(marker), PATH)
    assert content_of(changed) == f"[IMAGE: abc] ![{marker}]({PATH})"


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("No marker any more.", target()),
        (f"![a leaf]({PATH})", target()),
        ("[IMAGE: a leaf]", target(text_id="text-9")),
        ("[IMAGE: a leaf]", target("a root")),
        ("[IMAGE: a leaf", target()),
    ],
    ids=["gone", "there already", "the text is gone", "another marker", "cut off"],
)
def test_a_place_that_is_gone_is_a_permanent_failure(content: str, wanted: dict[str, Any]) -> None:
    with pytest.raises(Permanent) as caught:
        with_picture(drawn(content), wanted, PATH)
    assert caught.value.code == "target_gone"


@pytest.mark.parametrize("pack", shelf(), ids=lambda pack: pack["id"])
def test_every_marker_of_a_pack_can_be_replaced_in_any_order(pack: Any) -> None:
    texts = [
        study_text(place, id=section["id"], content=section["content"])
        for place, section in enumerate(pack["sections"])
    ]
    changed = cast(Course, course(studyTexts=texts))
    wanted = [target(shows, text["id"]) for text in texts for shows in image_markers(text["content"])]
    assert wanted
    for number, one in enumerate(reversed(wanted)):
        changed = with_picture(changed, one, f"/{number}.png")
    whole = "".join(text["content"] for text in changed["studyTexts"])
    assert image_markers(whole) == []
    assert whole.count("![") == len(wanted)

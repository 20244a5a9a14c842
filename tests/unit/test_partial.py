from __future__ import annotations

from typing import Any

from storage.partial import put_together

PLAN: dict[str, Any] = {
    "title": "Rivers",
    "groups": [{"id": "g1", "name": "Springs"}, {"id": "g2", "name": "Mouths"}],
    "textSlots": [{"id": "t1", "title": "The way"}, {"id": "t2", "title": "The end"}],
}
ASKED = {"subject": "About rivers"}


def item(number: int, group: str) -> dict[str, Any]:
    return {"id": number, "groupId": group, "text": f"Item {number} [blank]"}


def text(id_: str) -> dict[str, Any]:
    return {"id": id_, "title": id_, "content": "[SECTION:One]\n\nWater."}


def test_before_there_is_a_plan_only_the_wish_is_known() -> None:
    shown = put_together({}, {**ASKED, "title": "My rivers"})
    assert shown == {"title": "My rivers", "groups": [], "studyTexts": [], "topics": [], "finished": 0, "total": None}
    assert put_together({}, ASKED)["title"] == "About rivers"
    assert put_together({}, {})["title"] is None


def test_finished_parts_are_there_and_the_others_are_named() -> None:
    kept = {("skeleton", ""): PLAN, ("fill", "group:g2"): [item(3, "g2")], ("fill", "text:t2"): text("t2")}
    shown = put_together(kept, ASKED)
    assert shown["groups"] == [
        {"id": "g1", "name": "Springs", "items": []},
        {"id": "g2", "name": "Mouths", "items": [item(3, "g2")]},
    ]
    assert shown["studyTexts"] == [text("t2")]
    assert (shown["title"], shown["finished"], shown["total"]) == ("Rivers", 2, 4)


def test_what_was_filled_in_one_go_is_there_whole() -> None:
    filled = {"items": [item(0, "g1"), item(1, "g2")], "studyTexts": [text("t1"), text("t2")]}
    shown = put_together({("skeleton", ""): PLAN, ("fill", ""): filled}, ASKED)
    assert [len(group["items"]) for group in shown["groups"]] == [1, 1]
    assert (len(shown["studyTexts"]), shown["finished"], shown["total"]) == (2, 4, 4)


def test_what_was_checked_takes_the_place_of_what_was_written() -> None:
    course = {**PLAN, "title": "Rivers!", "items": [item(0, "g1")], "studyTexts": [text("t1")], "topics": []}
    kept = {("skeleton", ""): PLAN, ("fill", "group:g1"): [item(9, "g1")], ("validate", ""): {"course": course}}
    shown = put_together(kept, ASKED)
    assert (shown["title"], shown["groups"][0]["items"]) == ("Rivers!", [item(0, "g1")])
    assert shown["finished"] == shown["total"] == 3
    saved = put_together(kept, ASKED, {**course, "title": "Rivers, later"})
    assert saved["title"] == "Rivers, later"


def test_of_an_exam_course_each_topic_grows_its_lessons() -> None:
    topics = [{"id": "a", "name": "Law", "questionIds": ["q1"]}, {"id": "b", "name": "War", "questionIds": ["q2"]}]
    kept = {
        ("questions", ""): {"exam": {"title": "Civics"}},
        ("topics", ""): {"topics": topics},
        ("lessons", "topic:b"): {"lessons": [{"id": "l1", "title": "Peace"}]},
    }
    assert put_together({("questions", ""): kept["questions", ""]}, {})["title"] == "Civics"
    shown = put_together(kept, {})
    assert shown["topics"] == [{**topics[0], "lessons": []}, {**topics[1], "lessons": [{"id": "l1", "title": "Peace"}]}]
    assert (shown["title"], shown["finished"], shown["total"]) == ("Civics", 1, 2)


def test_single_lessons_can_be_read_before_their_topic_is_whole() -> None:
    topics = [{"id": f"topic-{number}", "name": "Law", "questionIds": []} for number in (1, 10)]
    kept: dict[tuple[str, str], Any] = {("topics", ""): {"topics": topics}}
    for number in (10, 2):
        kept["lessons", f"lesson:topic-1-lesson-{number}"] = {"lessons": [{"id": f"l{number}"}], "taught": {}}
    kept["lessons", "lesson:topic-10-lesson-1"] = {"lessons": [{"id": "of another"}], "taught": {}}
    shown = put_together(kept, {})
    assert [[lesson["id"] for lesson in topic["lessons"]] for topic in shown["topics"]] == [
        ["l2", "l10"],
        ["of another"],
    ]
    assert (shown["finished"], shown["total"]) == (0, 2)

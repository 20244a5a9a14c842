"""The model strategy with a scripted model in place of the client."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from schema.course import Item
from schema.errors import Transient
from schema.job import CourseRequest, load_new_job
from schema.normalize import normalize_course
from schema.problem import Problem, errors_of
from schema.rules import check
from schema.skeleton import Skeleton
from tasks.clients.loop import side_by_side
from tasks.clients.text import Ask
from tasks.strategies import llm_schemas
from tasks.strategies.llm import ModelStrategy, prompt_version, written_content
from tasks.strategies.llm_asking import portions, taken
from tasks.strategies.llm_verify import blind_order
from tests.fakes.knowledge import stories
from tests.fakes.model_answers import answer, facts_in

STRATEGY = ModelStrategy("scripted")
COURSE_ID = "volcanoes-abc234"


class Model:
    """Answers like the scripted server, remembers what it was asked, and changes answers where a test says so."""

    def __init__(self, change: Callable[[Ask, Any], Any] | None = None) -> None:
        self.asks: list[Ask] = []
        self._change = change

    async def __call__(self, ask: Ask) -> Any:
        self.asks.append(ask)
        value = answer(ask.schema_name, ask.schema, ask.user)
        value = self._change(ask, copy.deepcopy(value)) if self._change else value
        Draft202012Validator(ask.schema).validate(value)
        return value


def request_for(**changed: Any) -> CourseRequest:
    payload = {"subject": "Volcanoes", "gradeBand": "6-8", "grade": "7", "mode": "options", "itemsPerGroup": 7}
    payload["language"] = "en"
    loaded: CourseRequest = load_new_job({"jobType": "course", "payload": {**payload, **changed}}).payload  # type: ignore[assignment]
    return loaded


def plan_of(request: CourseRequest, model: Model | None = None) -> Skeleton:
    return asyncio.run(STRATEGY.plan(request, 11, model or Model()))


def items_of(request: CourseRequest, plan: Skeleton, model: Model | None = None) -> list[Item]:
    chosen = model or Model()
    groups = [
        asyncio.run(STRATEGY.fill_group(request, plan, group["id"], COURSE_ID, chosen)) for group in plan["groups"]
    ]
    return [item for group in groups for item in group]


def course_of(request: CourseRequest, plan: Skeleton, items: list[Item]) -> dict[str, Any]:
    texts = [asyncio.run(STRATEGY.fill_text(request, plan, slot, Model())) for slot in plan["textSlots"]]
    course = {
        "id": COURSE_ID,
        **{key: request[key] for key in ("subject", "gradeBand", "grade", "language", "visibility", "tags")},
        **{key: plan[key] for key in ("title", "description", "objectives", "groups", "levels", "provenance")},
        "contentVersion": "1",
        "items": items,
        "studyTexts": texts,
        "topics": [],
    }
    return normalize_course(course)


# --- planning ------------------------------------------------------------------------------------------------


def test_a_plan_has_a_place_with_its_own_subtopic_for_every_item_wanted() -> None:
    plan = plan_of(request_for())
    assert [slot["id"] for slot in plan["slots"]] == list(range(14))
    assert len({slot["subtopic"] for slot in plan["slots"]}) == len({slot["clusterId"] for slot in plan["slots"]}) == 14
    assert {slot["variant"] for slot in plan["slots"]} == {"1"}
    assert [level["end"] for level in plan["levels"]] == [4, 9, 13]
    assert [text["order"] for text in plan["textSlots"]] == [0, 1]
    assert plan["provenance"] == {
        "source": "llm",
        "model": "scripted",
        "promptVersion": prompt_version(),
        "seed": 11,
        "verified": False,
    }
    assert "items/1" in prompt_version()


def test_an_author_s_title_wins_over_the_model_s() -> None:
    assert plan_of(request_for(title="Mountains of fire"))["title"] == "Mountains of fire"


def test_objectives_that_don_t_exist_are_not_pointed_at() -> None:
    def astray(ask: Ask, value: Any) -> Any:
        value["groups"][0]["subtopics"][0]["objective"] = 99
        value["studyTexts"][0]["objectives"] = [0, 2, 2, 40]
        return value

    plan = plan_of(request_for(), Model(astray))
    assert "learningObjectiveId" not in plan["slots"][0]
    assert plan["textSlots"][0]["learningObjectives"] == ["objective-2"]


def test_a_plan_with_doubles_is_asked_for_once_more_with_what_is_missing() -> None:
    turns: list[str] = []

    def doubled_once(ask: Ask, value: Any) -> Any:
        turns.append(ask.user)
        if len(turns) == 1:
            subtopics = value["groups"][0]["subtopics"]
            subtopics[3] = {**subtopics[0], "name": subtopics[0]["name"].upper() + "."}
            value["studyTexts"].pop()
        return value

    plan = plan_of(request_for(), Model(doubled_once))
    assert len(plan["slots"]) == 14
    assert len(turns) == 2
    assert "has 6 distinct subtopics, 7 are wanted" in turns[1]
    assert "There are 1 distinct study texts, 2 are wanted." in turns[1]


def test_what_the_second_plan_lacks_is_taken_from_the_first() -> None:
    turns: list[int] = []

    def each_lacks_another(ask: Ask, value: Any) -> Any:
        turns.append(1)
        value["groups"][0]["subtopics"].pop(0 if len(turns) == 1 else -1)
        return value

    plan = plan_of(request_for(), Model(each_lacks_another))
    assert len(turns) == 2
    assert len({slot["subtopic"] for slot in plan["slots"]}) == 14


def test_a_plan_that_stays_incomplete_is_an_error_that_says_what_is_missing() -> None:
    def one_group(ask: Ask, value: Any) -> Any:
        return {**value, "groups": value["groups"][:1], "objectives": [" "]}

    model = Model(one_group)
    with pytest.raises(Transient) as caught:
        plan_of(request_for(), model)
    assert caught.value.code == "plan_incomplete"
    assert len(model.asks) == 2
    assert len(caught.value.details["missing"]) == 2


def test_notes_reach_every_writing_prompt_between_markers_and_no_verifying_one() -> None:
    request = request_for(notes="Tell about Etna.")
    model = Model()
    plan = plan_of(request, model)
    items = items_of(request, plan, model)
    asyncio.run(STRATEGY.fill_text(request, plan, plan["textSlots"][0], model))
    asyncio.run(STRATEGY.repair(request, plan, [(items[0], [])], COURSE_ID, model))
    asyncio.run(STRATEGY.verify(items, "en", model))
    for ask in model.asks:
        assert ("<<<NOTES" in ask.user) == ("Tell about Etna." in ask.user) == (ask.purpose != "verify")
        assert "Etna" not in str(facts_in(ask.user))
        assert "Etna" not in ask.system
        assert "$" not in ask.user


# --- filling -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["options", "numeric"])
def test_a_filled_course_keeps_all_rules_and_its_keys_are_verified(mode: str) -> None:
    request = request_for(mode=mode, itemsPerGroup=12)
    plan = plan_of(request)
    items = items_of(request, plan)
    course = course_of(request, plan, items)
    assert errors_of(check(course)) == []
    verdicts = asyncio.run(STRATEGY.verify(course["items"], "en", Model()))
    assert verdicts == dict.fromkeys(range(24), True)


def test_a_hundred_items_a_group_are_distinct_too() -> None:
    request = request_for(itemsPerGroup=100, mode="numeric")
    plan = plan_of(request)
    course = course_of(request, plan, items_of(request, plan))
    assert errors_of(check(course)) == []
    assert len(course["items"]) == 200


def test_a_group_is_asked_for_in_calls_of_at_most_six() -> None:
    model = Model()
    request = request_for(itemsPerGroup=13)
    plan = plan_of(request)
    asyncio.run(STRATEGY.fill_group(request, plan, "group-1", COURSE_ID, model))
    sizes = [[one["number"] for one in facts_in(ask.user)["subtopics"]] for ask in model.asks]
    assert [len(size) for size in sizes] == [4, 4, 5]
    assert all(size[0] == 1 for size in sizes)


def test_the_key_has_no_favourite_place_and_reasons_go_with_their_options() -> None:
    request = request_for(itemsPerGroup=30)
    items = items_of(request, plan_of(request))
    assert {item["correctIndex"] for item in items} == {0, 1, 2, 3}
    for item in items:
        wrong = [option for at, option in enumerate(item["options"]) if at != item["correctIndex"]]
        assert set(item["wrongExplanations"]) == set(wrong)


def test_what_the_model_leaves_out_becomes_an_item_without_text_and_is_found() -> None:
    def one_missing(ask: Ask, value: Any) -> Any:
        if ask.purpose == "items":
            value["items"] = value["items"][1:]
        return value

    request = request_for(itemsPerGroup=3)
    plan = plan_of(request)
    items = items_of(request, plan, Model(one_missing))
    assert [item["id"] for item in items] == list(range(6))
    assert [item["id"] for item in items if not item["text"]] == [0, 3]
    problems = errors_of(check(course_of(request, plan, items)))
    assert {"items.0.text", "items.3.text"} <= {one.path for one in problems if one.code == "unfilled_text"}


def test_answers_are_matched_by_number_not_by_place() -> None:
    def reversed_order(ask: Ask, value: Any) -> Any:
        if ask.purpose == "items":
            value["items"].reverse()
            value["items"].append({**value["items"][0], "question": "A late double [blank]."})
        return value

    request = request_for(itemsPerGroup=4)
    plan = plan_of(request)
    assert items_of(request, plan, Model(reversed_order)) == items_of(request, plan)


@pytest.mark.parametrize(
    ("field", "value"),
    [("correct_answer", "x" * 201), ("correct_answer", " \x00 "), ("question", "y" * 2001), ("question", "\x00")],
)
def test_what_the_document_can_t_hold_is_left_empty_rather_than_cut(field: str, value: str) -> None:
    def spoiled(ask: Ask, answered: Any) -> Any:
        if ask.purpose == "items":
            answered["items"][0][field] = value
        return answered

    request = request_for(itemsPerGroup=2)
    items = items_of(request, plan_of(request), Model(spoiled))
    assert [bool(item["text"]) for item in items] == [False, True, False, True]
    assert "options" not in items[0]


@pytest.mark.parametrize("number", [10**400, float("inf"), float("nan"), -(2.0**60)])
def test_a_number_json_can_t_hold_exactly_is_no_answer(number: float) -> None:
    def spoiled(ask: Ask, answered: Any) -> Any:
        if ask.purpose == "items":
            answered["items"][0]["answer"] = number
        return answered

    request = request_for(itemsPerGroup=1, mode="numeric")
    item = items_of(request, plan_of(request), Model(spoiled))[0]
    assert item["text"] == ""
    assert "answer" not in item


def test_an_item_points_to_the_texts_that_serve_its_objective() -> None:
    request = request_for()
    plan = plan_of(request)
    for item in items_of(request, plan):
        serving = [one["id"] for one in plan["textSlots"] if item["learningObjectiveId"] in one["learningObjectives"]]
        assert item.get("relatedStudyTextIds", []) == serving


# --- study texts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pictures", [True, False])
def test_a_study_text_has_sections_and_pictures_only_when_asked(pictures: bool) -> None:
    request = request_for(generateStudyTextImages=pictures)
    plan = plan_of(request)
    text = asyncio.run(STRATEGY.fill_text(request, plan, plan["textSlots"][1], Model()))
    assert (text["id"], text["order"], text["title"]) == ("text-2", 1, plan["textSlots"][1]["title"])
    assert text["content"].startswith("[SECTION:What there is to know]\n\n")
    assert ("[IMAGE: A child at a desk" in text["content"]) is pictures


def test_a_model_s_own_markers_and_headings_are_taken_out() -> None:
    sections = [
        {"title": "One [1]\nmore", "body": "## Head\nText. [IMAGE: a cat] [SECTION:x]", "picture": "a [big] cat"},
        {"title": "Two", "body": "  ", "picture": "nothing"},
        *({"title": str(at), "body": "Text.", "picture": "a dog"} for at in range(3)),
    ]
    content = written_content(sections)
    assert content.startswith("[SECTION:One 1 more]\n\nHead\nText.\n\n[IMAGE: a big cat]\n\n[SECTION:0]")
    assert content.count("[IMAGE:") == 2
    assert "[SECTION:Two]" not in content


def test_a_text_without_words_is_asked_for_again_by_the_job() -> None:
    request = request_for()
    plan = plan_of(request)
    with pytest.raises(Transient) as caught:
        asyncio.run(STRATEGY.fill_text(request, plan, plan["textSlots"][0], Model(lambda ask, value: {"sections": []})))
    assert caught.value.code == "model_answer_unreadable"


# --- repair --------------------------------------------------------------------------------------------------


def test_a_repair_asks_only_for_the_faulty_items_and_names_their_problems() -> None:
    request = request_for()
    plan = plan_of(request)
    items = items_of(request, plan)
    model = Model()
    faulty: list[tuple[Item, list[Problem]]] = [
        (items[3], [Problem("items.3.options", "duplicate_options", "Two options are the same.")]),
        ({**items[9], "text": ""}, [Problem("items.9.text", "unfilled_text", "The question has no text yet.")]),
    ]
    mended = asyncio.run(STRATEGY.repair(request, plan, faulty, COURSE_ID, model))
    assert mended == [items[3], items[9]]
    [ask] = model.asks
    asked = facts_in(ask.user)["exercises"]
    assert [one["number"] for one in asked] == [1, 2]
    assert asked[0]["problems"] == ["duplicate_options: Two options are the same."]
    assert asked[0]["correct_answer"] == items[3]["options"][items[3]["correctIndex"]]
    assert items[5]["text"] not in ask.user


def test_identity_and_references_survive_a_repair_whatever_the_model_says() -> None:
    request = request_for()
    plan = plan_of(request)
    items = items_of(request, plan)
    original: Item = {**items[4], "variant": "3", "stimulus": {"type": "image", "url": "/m.png", "alt": "m"}}
    [mended] = asyncio.run(STRATEGY.repair(request, plan, [(original, [])], COURSE_ID, Model()))
    for key in ("id", "groupId", "clusterId", "variant", "mode", "learningObjectiveId", "stimulus"):
        assert mended[key] == original[key]


def test_an_item_the_repair_leaves_out_stays_as_it_was() -> None:
    request = request_for()
    plan = plan_of(request)
    items = items_of(request, plan)
    model = Model(lambda ask, value: {"items": value["items"][:1]})
    broken: Item = {**items[1], "options": ["a", "a", "b"]}
    assert asyncio.run(STRATEGY.repair(request, plan, [(items[0], []), (broken, [])], COURSE_ID, model))[1] == broken


# --- verifying -----------------------------------------------------------------------------------------------


def test_a_wrong_key_is_found_out() -> None:
    request = request_for()
    items = items_of(request, plan_of(request))
    items[2]["correctIndex"] = (items[2]["correctIndex"] + 1) % 4
    verdicts = asyncio.run(STRATEGY.verify(items, "en", Model()))
    assert [item_id for item_id, good in verdicts.items() if not good] == [2]


def test_a_wrong_number_is_found_out() -> None:
    request = request_for(mode="numeric")
    items = items_of(request, plan_of(request))
    items[5]["answer"] += 1
    verdicts = asyncio.run(STRATEGY.verify(items, "en", Model()))
    assert [item_id for item_id, good in verdicts.items() if not good] == [5]


def test_the_question_put_blind_has_no_key_no_explanation_and_another_order() -> None:
    request = request_for()
    items = items_of(request, plan_of(request))
    model = Model()
    asyncio.run(STRATEGY.verify(items, "en", model))
    asked = [one for ask in model.asks for one in facts_in(ask.user)["questions"]]
    assert len(asked) == 14
    for item, one in zip(items, asked, strict=True):
        assert set(one) == {"number", "question", "options"}
        assert sorted(one["options"].values()) == sorted(item["options"])
        assert all(a != b for a, b in zip(one["options"].values(), item["options"], strict=True))
    assert not [ask for ask in model.asks if "explain" in ask.user or "hint" in ask.user]


def test_a_right_answer_that_is_only_a_guess_verifies_nothing() -> None:
    def guessing(ask: Ask, value: Any) -> Any:
        return {"answers": [{**one, "confidence": 0.3} for one in value["answers"]]}

    request = request_for(itemsPerGroup=2)
    verdicts = asyncio.run(STRATEGY.verify(items_of(request, plan_of(request)), "en", Model(guessing)))
    assert set(verdicts.values()) == {False}


@pytest.mark.parametrize("form", ["{letter}", "{letter})", "({letter})", "{letter}. {text}", "{text}.", " {text} "])
def test_an_answer_may_name_its_option_by_text_or_letter(form: str) -> None:
    request = request_for(itemsPerGroup=2)
    items = items_of(request, plan_of(request))

    def said(ask: Ask, value: Any) -> Any:
        options = facts_in(ask.user)["questions"]
        for one, question in zip(value["answers"], options, strict=True):
            letter = next(key for key, text in question["options"].items() if text == one["answer"])
            one["answer"] = form.format(letter=letter, text=one["answer"])
        return value

    assert set(asyncio.run(STRATEGY.verify(items, "en", Model(said))).values()) == {True}


def test_a_question_left_unanswered_is_put_once_more_and_then_not_verified() -> None:
    def silent_about_the_first(ask: Ask, value: Any) -> Any:
        return {"answers": value["answers"][1:]}

    request = request_for(itemsPerGroup=2)
    items = items_of(request, plan_of(request))
    model = Model(silent_about_the_first)
    verdicts = asyncio.run(STRATEGY.verify(items, "en", model))
    assert verdicts == {0: False, 1: True, 2: True, 3: True}
    assert [len(facts_in(ask.user)["questions"]) for ask in model.asks] == [4, 1]


def test_items_that_can_t_be_asked_are_left_out() -> None:
    request = request_for(itemsPerGroup=2)
    items = items_of(request, plan_of(request))
    items[0]["text"] = ""
    items[1]["correctIndex"] = 9
    model = Model()
    assert asyncio.run(STRATEGY.verify(items, "en", model)) == {2: True, 3: True}
    assert asyncio.run(STRATEGY.verify(items[:2], "en", model)) == {}


def test_the_blind_order_is_always_the_same_and_moves_every_option() -> None:
    item = {"text": "Stem [blank]", "options": ["a", "b", "c", "d"]}
    order = blind_order(item)  # type: ignore[arg-type]
    assert order == blind_order(item)  # type: ignore[arg-type]
    assert all(a != b for a, b in zip(order, item["options"], strict=True))


# --- the small parts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema", [value for name, value in vars(llm_schemas).items() if name.isupper() and not name.startswith("_")]
)
def test_every_schema_is_one_that_strict_mode_takes(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    pending = [schema]
    while pending:
        one = pending.pop()
        assert set(one) <= {"type", "description", "properties", "required", "additionalProperties", "items"}
        if one["type"] == "object":
            assert one["additionalProperties"] is False
            assert one["required"] == list(one["properties"])
            pending += one["properties"].values()
        if one["type"] == "array":
            pending.append(one["items"])


def test_portions_are_even_and_lose_nothing() -> None:
    assert [list(part) for part in portions(range(7))] == [[0, 1, 2], [3, 4, 5, 6]]
    assert portions([]) == []
    for count in range(1, 60):
        parts = portions(range(count))
        assert [one for part in parts for one in part] == list(range(count))
        assert max(map(len, parts)) <= 6
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_first_error_cancels_the_calls_beside_it() -> None:
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("closed")

    async def failing() -> None:
        raise Transient("away")

    with pytest.raises(Transient):
        asyncio.run(side_by_side([endless(), failing(), endless()]))
    assert ended == ["closed", "closed"]


def test_a_long_text_is_cut_at_a_word() -> None:
    assert taken("one two three", 9) == "one two…"
    assert taken("x" * 30, 10) == "x" * 9 + "…"
    assert taken("a\x00b\ud800", 10) == "ab"
    assert taken(None) == ""


def test_the_scripted_model_s_stories_are_not_alike() -> None:
    from rapidfuzz import fuzz, process

    questions = [one.question for one in stories()]
    for at, question in enumerate(questions):
        assert process.extractOne(question, questions[:at], scorer=fuzz.ratio, score_cutoff=85) is None

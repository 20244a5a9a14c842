"""Checking a model's answer keys by having the questions answered blind.

The call sees questions and options, never keys, and in another order than the stored one, so that neither position
nor habit can answer. A key counts as verified when the blind answer agrees and is more than a guess.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any

from schema.course import Item
from schema.wording import fold_option
from tasks.clients.loop import side_by_side
from tasks.strategies.llm_asking import Complete, ask, by_number, portions, taken
from tasks.strategies.llm_schemas import NUMERIC_ANSWERS, OPTION_ANSWERS

#: An answer its giver believes in less than this is a guess, or another option fits as well.
SURE_ENOUGH = 0.5
QUESTIONS_PER_CALL = 8

_LETTER = re.compile(r"\(?([A-Za-z])[).:]?\Z")
_LETTERED = re.compile(r"\(?([A-Za-z])[).:]\s+(?P<text>\S.*)\Z", re.DOTALL)
_RULES = {
    "options": (
        '- "answer" is the text of the one option that fits the gap, copied word for word, without its letter. If two '
        "options fit, copy the better one and give a low confidence."
    ),
    "numeric": '- "answer" is the number that fits the gap, without a unit. Work it out step by step before you write.',
}


async def verified_keys(items: Sequence[Item], language: str, complete: Complete) -> dict[int, bool]:
    """For each item whether its key stood up, by the item's id. Items without text or key can't be asked and are
    left out. A question left unanswered is put once more; then it counts as not verified."""
    verdicts: dict[int, bool] = {}
    for mode in ("options", "numeric"):
        asked = [item for item in items if item["mode"] == mode and _askable(item)]
        verdicts |= dict.fromkeys((item["id"] for item in asked), False)
        for _ in range(2):
            parts = portions(asked, QUESTIONS_PER_CALL)
            answers = await side_by_side(_answers(mode, part, language, complete) for part in parts)
            by_id = {item_id: answer for part in answers for item_id, answer in part.items()}
            verdicts |= {item["id"]: _agrees(item, by_id[item["id"]]) for item in asked if item["id"] in by_id}
            asked = [item for item in asked if item["id"] not in by_id]
    return verdicts


def _askable(item: Item) -> bool:
    if not item["text"]:
        return False
    if item["mode"] == "numeric":
        return "answer" in item
    return 0 <= item.get("correctIndex", -1) < len(item.get("options", []))


async def _answers(mode: str, items: Sequence[Item], language: str, complete: Complete) -> dict[int, dict[str, Any]]:
    questions: list[dict[str, Any]] = []
    for number, item in enumerate(items, start=1):
        entry: dict[str, Any] = {"number": number, "question": item["text"]}
        if mode == "options":
            entry["options"] = _lettered(blind_order(item))
        questions.append(entry)
    numeric = mode == "numeric"
    question = ask(
        "verify",
        "verify",
        "numeric_answers" if numeric else "option_answers",
        NUMERIC_ANSWERS if numeric else OPTION_ANSWERS,
        {"language": language, "questions": questions},
        rules=_RULES[mode],
    )
    answers = by_number((await complete(question))["answers"])
    return {item["id"]: answers[number] for number, item in enumerate(items, start=1) if number in answers}


def blind_order(item: Item) -> list[str]:
    """The options in an order drawn from the question alone, with no option where it is stored: a rotation of the
    stored order by at least one place."""
    options = item["options"]
    if len(options) < 2:
        return list(options)
    drawn = int.from_bytes(hashlib.sha256(f"verify\n{item['text']}".encode()).digest()[:4], "big")
    turn = 1 + drawn % (len(options) - 1)
    return options[turn:] + options[:turn]


def _lettered(options: Sequence[str]) -> dict[str, str]:
    return {chr(ord("A") + at): option for at, option in enumerate(options)}


def _agrees(item: Item, answer: dict[str, Any]) -> bool:
    if not answer["confidence"] >= SURE_ENOUGH:
        return False
    if item["mode"] == "numeric":
        given = answer["answer"]
        return abs(given) <= 2**53 and math.isclose(given, item["answer"], rel_tol=1e-6, abs_tol=1e-9)
    chosen = _chosen(taken(answer["answer"]), item)
    return chosen is not None and chosen == fold_option(item["options"][item["correctIndex"]])


def _chosen(answer: str, item: Item) -> str | None:
    """The option an answer names: by its text, by letter and text, or by its letter alone. None when it names none."""
    by_text = {fold_option(option) for option in item["options"]}
    if (folded := fold_option(answer)) in by_text:
        return folded
    if (both := _LETTERED.match(answer)) and (folded := fold_option(both["text"])) in by_text:
        return folded
    letters = _lettered(blind_order(item))
    if (letter := _LETTER.match(answer)) and letter[1].upper() in letters:
        return fold_option(letters[letter[1].upper()])
    return None

from __future__ import annotations

from typing import Any, cast

import pytest

from schema.errors import ModelNotConfigured
from schema.job import CourseRequest, load_new_job
from tasks.packs import shelf
from tasks.strategies import choose


def request(**changes: Any) -> CourseRequest:
    payload = {"subject": "The water cycle", "gradeBand": "3-5", "mode": "options", "language": "en"} | changes
    return cast(CourseRequest, load_new_job({"jobType": "course", "payload": payload}).payload)


def chosen(model: bool, **changes: Any) -> tuple[str, str | None]:
    choice = choose(request(**changes), model)
    return choice.name, choice.pack["id"] if choice.pack else None


with_and_without = pytest.mark.parametrize("model", [True, False], ids=["with a model", "without a model"])

PACK: dict[str, Any] = {}
ARITHMETIC = {"subject": "Addition", "grade": "3"}
NOBODYS = {"subject": "The history of Ruritania"}


@with_and_without
def test_a_pack_goes_before_a_model(model: bool) -> None:
    assert chosen(model, **PACK) == ("pack", "water-cycle-g4")


@with_and_without
@pytest.mark.parametrize("mode", ["options", "numeric"])
def test_arithmetic_is_computed(model: bool, mode: str) -> None:
    assert chosen(model, **ARITHMETIC, mode=mode) == ("arithmetic", None)


@pytest.mark.parametrize("asked", [PACK, ARITHMETIC, NOBODYS], ids=["pack", "arithmetic", "other"])
def test_notes_need_a_model_whatever_the_subject(asked: dict[str, Any]) -> None:
    assert chosen(True, **asked, notes="Use examples from Iceland.") == ("llm", None)
    with pytest.raises(ModelNotConfigured, match="Leave the notes out"):
        chosen(False, **asked, notes="Use examples from Iceland.")


@with_and_without
@pytest.mark.parametrize("notes", ["", "  ", "\n\t"])
def test_empty_notes_are_none(model: bool, notes: str) -> None:
    assert chosen(model, notes=notes)[0] == "pack"


@pytest.mark.parametrize(
    "changes",
    [NOBODYS, {"grade": "9"}, {"language": "fr"}, {"mode": "numeric"}, {**ARITHMETIC, "language": "de"}],
    ids=["subject", "grade", "language", "mode", "arithmetic in another language"],
)
def test_what_no_pack_covers_is_a_models(changes: dict[str, Any]) -> None:
    assert chosen(True, **changes) == ("llm", None)
    with pytest.raises(ModelNotConfigured) as caught:
        chosen(False, **changes)
    assert (caught.value.status, caught.value.code) == (422, "model_not_configured")


def test_a_refusal_says_what_can_be_asked_for_instead() -> None:
    with pytest.raises(ModelNotConfigured) as caught:
        chosen(False, **NOBODYS)
    assert "OPENAI_API_KEY" in caught.value.message
    assert "Ruritania" in caught.value.message
    for pack in shelf():
        assert pack["topic"] in caught.value.message

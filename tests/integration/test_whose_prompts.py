"""Nothing of one organization gets into another's prompts or courses, by what is kept for being used again."""

from __future__ import annotations

import json

import pytest

from schema.exam_request import load_new_exam
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.exams import make_exam
from tests.fakes.model_server import ModelServer
from tests.integration.stage import change, rows, school
from tests.integration.test_exam_course import course_of, lane, made, purposes

pytestmark = pytest.mark.usefixtures("empty_store")

CANARY = "canary of the first school"


def test_topics_known_from_before_are_known_to_one_organization(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    other = school(model_deps)
    exam = load_new_exam(lane())
    first = made(model_deps, asker, make_exam(model_deps, asker, exam)["id"])
    poisoned = change(
        model_deps,
        """UPDATE exam_topics SET topics = replace(topics::text, :name, :canary)::jsonb
        WHERE organization_id = :org""",
        org=asker.organization_id,
        name=course_of(model_deps, first)["topics"][0]["name"],
        canary=CANARY,
    )
    assert poisoned == 1
    model.forget(calls=True)
    theirs = made(model_deps, other, make_exam(model_deps, other, exam)["id"])
    assert purposes(model).count("topics") == 1, "the other school's are asked for anew"
    assert CANARY not in json.dumps(course_of(model_deps, theirs))
    kept = rows(model_deps, "SELECT organization_id, topics::text FROM exam_topics")
    assert {row.organization_id: CANARY in row.topics for row in kept} == {
        asker.organization_id: True,
        other.organization_id: False,
    }
    # The school it belongs to does get it, so the canary sings where it can.
    again = made(model_deps, asker, make_exam(model_deps, asker, exam)["id"])
    assert CANARY in json.dumps(course_of(model_deps, again))

"""Third step of an exam course: every question gets its topic. Nobody is asked when the same questions were sorted
before, in this exam or another of the organization."""

from __future__ import annotations

from typing import Any

from storage import exam_topics
from storage.db import Transaction
from tasks.exam_checkpoints import complete_of, exam_of, model_of
from tasks.strategies.exam_sorting import Detected, for_keeping, from_kept, made_by
from tasks.work import Outcome, Work


def run(work: Work) -> Outcome:
    """Find the topics. The checkpoint is ``{"topics": [{"id", "name", "questionIds"}], "labels", "known"}``.

    Raises ``Transient`` (``topics_incomplete``)."""
    exam = exam_of(work)
    questions = exam["questions"]
    maker = made_by(model_of(work, "topics"), exam["language"], questions)
    kept = exam_topics.read(work.deps.db, work.organization_id, exam["questionsHash"], maker)
    known = from_kept(kept, questions) if kept is not None else None
    found = known or _detected(work)

    def keep(tx: Transaction) -> dict[str, Any]:
        exam_topics.keep(tx, work.organization_id, exam["questionsHash"], maker, for_keeping(found, questions))
        return {}

    topics = [
        {"id": f"topic-{number}", "name": topic.name, "questionIds": list(topic.questions)}
        for number, topic in enumerate(found.topics, start=1)
    ]
    counted = "1 topic" if len(topics) == 1 else f"{len(topics)} topics"
    message = f"{counted} for {len(questions)} questions" + (", known from before" if known else "")
    result = {"topics": topics, "labels": found.labels, "known": known is not None}
    return Outcome(result, message=message, writes=None if known else keep)


def _detected(work: Work) -> Detected:
    from tasks.strategies.exam_topics import detect  # noqa: PLC0415 - half a second, only where a model is asked

    exam = exam_of(work)
    return work.ask(detect(exam["questions"], exam["language"], complete_of(work)))  # type: ignore[no-any-return]

"""The words of mails about ended jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.headerregistry import Address
from email.policy import SMTP, default
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.webhook import EVENTS
from storage.notices.mails import Taken
from tasks.notices.letter import letter

SENDER = Address("Coursewright", "courses", "school.example")
JOB = {"jobId": "j-1", "courseId": "sums", "error": {"code": "model_refused", "message": "It <refused>."}}


def taken(**changes: Any) -> Taken:
    given_ = {
        **{"mail_id": UUID(int=7), "organization_id": UUID(int=1), "event": "job.completed", "job": JOB, "attempts": 1},
        **{"recipient": "teacher@school.example", "title": "Sums", "attempted_at": datetime(2026, 11, 21, tzinfo=UTC)},
    }
    return Taken(**{**given_, **changes})


@pytest.mark.parametrize(
    ("event", "subject", "words", "link"),
    [
        ("job.completed", "Your course “Sums” is ready", "is ready", "/courses/sums"),
        ("job.failed", "Your course “Sums” could not be made", "It <refused>.", "/jobs/j-1"),
        ("job.dead_letter", "Your course “Sums” could not be made", "tried several times", "/jobs/j-1"),
        ("job.cancelled", "Your course “Sums” was cancelled", "was cancelled", "/jobs/j-1"),
    ],
)
def test_each_end_has_its_words_and_its_link(event: str, subject: str, words: str, link: str) -> None:
    mail = letter(taken(event=event), SENDER, "https://c.example")
    plain, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))  # type: ignore[union-attr]
    assert mail["Subject"] == subject
    assert words in plain and f"https://c.example{link}" in plain and f'"https://c.example{link}"' in html
    assert "<refused>" not in html


def test_a_job_without_a_course_has_no_link_to_one() -> None:
    mail = letter(taken(job={**JOB, "courseId": None}), SENDER, "https://c.example")
    assert "https:" not in mail.as_string()


@settings(max_examples=40)
@given(
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.sampled_from(EVENTS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
)
def test_no_title_and_no_error_adds_a_header_or_a_recipient(title: str | None, event: str, message: str) -> None:
    mail = letter(taken(title=title, event=event, job={**JOB, "error": {"message": message}}), SENDER, None)
    read = message_from_bytes(mail.as_bytes(policy=SMTP), policy=default)
    assert sorted(read.keys()) == sorted(
        ["Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    )
    assert (read["To"], read["From"]) == ("teacher@school.example", "Coursewright <courses@school.example>")
    assert read["Subject"].startswith("Your course")

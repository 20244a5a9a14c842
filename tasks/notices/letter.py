"""The words of a mail about an ended job: plain text, and the same as simple HTML. Pure."""

from __future__ import annotations

import html
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from storage.notices.mails import Taken

#: No more of a course's title goes into a subject.
_LONGEST_TITLE = 150


@dataclass(frozen=True)
class _Words:
    subject: str
    sentences: tuple[str, ...]
    link: str | None
    link_text: str


def letter(taken: Taken, sender: Address, public_url: str | None) -> EmailMessage:
    """The mail to one recipient. The same mail has the same ``Message-ID`` at every try."""
    words = _words(taken.event, taken.job, _one_line(taken.title), public_url)
    message = EmailMessage()
    message["Subject"] = words.subject
    message["From"] = sender
    message["To"] = taken.recipient
    message["Date"] = format_datetime(taken.attempted_at)
    message["Message-ID"] = f"<{taken.mail_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_plain(words))
    message.add_alternative(_html(words), subtype="html")
    return message


def _one_line(title: str | None) -> str:
    """A title as it may stand in a header: a model wrote it, or an author."""
    line = "".join(one if one.isprintable() else " " for one in title or "")
    return " ".join(line.split())[:_LONGEST_TITLE]


def _words(event: str, job: dict[str, Any], title: str, public_url: str | None) -> _Words:
    course = f"course “{title}”" if title else "course"
    to_course = f"{public_url}/courses/{job['courseId']}" if public_url and job["courseId"] else None
    to_job = f"{public_url}/jobs/{job['jobId']}" if public_url else None
    reason = (job["error"] or {}).get("message", "")
    match event:
        case "job.completed":
            return _Words(f"Your {course} is ready", (f"Your {course} is ready.",), to_course, "Open the course")
        case "job.cancelled":
            said = f"The making of your {course} was cancelled."
            return _Words(f"Your {course} was cancelled", (said,), to_job, "See how far it got")
        case "job.dead_letter":
            said = f"Your {course} could not be made, although it was tried several times."
            more = "What is finished is kept. An operator can take it up again."
            return _Words(f"Your {course} could not be made", (said, reason, more), to_job, "See what happened")
    said = f"Your {course} could not be made."
    more = "What is finished is kept, and a retry goes on from there."
    return _Words(f"Your {course} could not be made", (said, reason, more), to_job, "See what happened")


_WHY = "You get this mail because your organization's settings name your address in notifyEmails."


def _plain(words: _Words) -> str:
    parts = [*filter(None, words.sentences)]
    if words.link:
        parts.append(f"{words.link_text}: {words.link}")
    return "\n\n".join([*parts, f"-- \n{_WHY}"]) + "\n"


def _html(words: _Words) -> str:
    parts = [f"<p>{html.escape(sentence)}</p>" for sentence in words.sentences if sentence]
    if words.link:
        parts.append(f'<p><a href="{html.escape(words.link)}">{html.escape(words.link_text)}</a></p>')
    return "<!doctype html>\n<html><body>\n{}\n<p><small>{}</small></p>\n</body></html>\n".format(
        "\n".join(parts), html.escape(_WHY)
    )

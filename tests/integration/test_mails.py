"""Mails about ended jobs, through a real mail server."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
import trustme

from schema.errors import Permanent
from schema.mail import read_mail_settings
from schema.settings import NoticeSettings
from storage import retention
from storage.notices import mails as kept
from tasks import once
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.notices import mails
from tasks.notices.mails import send_next
from tests.conftest import Outbox, make_deps
from tests.fakes.mail_server import PASSWORD, USER, MailServer
from tests.integration.stage import SUMS, change, put_job, rows, start
from tests.integration.test_notices import fail, notify
from web.doctor import servers

FROM = "Coursewright <courses@school.example>"
QUOTED = "courses:p%40ss%20word%2F1@"


def mailing(deps: Deps, port: int, *, scheme: str = "smtp", who: str = "", public: str | None = None) -> Deps:
    """The same process with a mail server."""
    server = read_mail_settings(f"{scheme}://{who}localhost:{port}", FROM)
    made = make_deps(replace(deps.settings, notices=NoticeSettings(mail=server, public_url=public)), Outbox())
    made.luck = lambda: 0.5
    return made


def end_one(deps: Deps, asker: Asker, address: str = "teacher@school.example", **payload: Any) -> UUID:
    """A job that fails, and one address that wants to know."""
    notify(deps, asker, address)
    job_id = put_job(deps, asker.organization_id, payload={**SUMS, **payload})
    fail(deps, job_id, Permanent("The model refused this request.", code="model_refused"))
    return job_id


def mail_rows(deps: Deps) -> list[tuple[str, int, str | None]]:
    return [(row.status, row.attempts, row.error) for row in rows(deps, "SELECT * FROM mails ORDER BY recipient")]


def make_due(deps: Deps) -> None:
    change(deps, "UPDATE mails SET due_at = clock_timestamp() WHERE due_at IS NOT NULL")


def parts(mail: EmailMessage) -> tuple[str, str]:
    found = [mail.get_body((kind,)) for kind in ("plain", "html")]
    return found[0].get_content(), found[1].get_content()  # type: ignore[union-attr]


@pytest.mark.usefixtures("empty_store")
def test_a_course_that_is_ready_is_told_with_a_link(deps: Deps, asker: Asker) -> None:
    with MailServer() as server:
        ours = mailing(deps, server.port, public="https://c.example")
        notify(deps, asker, "b@school.example", "a@school.example")
        job_id = start(deps, asker, title="Sums & <more>")
        once.run_due(deps)
        assert [send_next(ours), send_next(ours), send_next(ours)] == [True, True, False]
        [course_id] = [row.course_id for row in rows(deps, "SELECT course_id FROM jobs WHERE id = :id", id=job_id)]
        assert sorted(server.recipients) == ["a@school.example", "b@school.example"]
        [mail, other] = server.mails
        assert (mail["Subject"], mail["From"]) == ("Your course “Sums & <more>” is ready", FROM)
        assert mail["Message-ID"] != other["Message-ID"]
        plain, html = parts(mail)
        assert f"https://c.example/courses/{course_id}" in plain
        assert f'href="https://c.example/courses/{course_id}"' in html and "Sums &amp; &lt;more&gt;" in html
        assert mail_rows(deps) == [("sent", 1, None)] * 2
        ours.close()


def test_a_failure_is_told_with_its_reason_and_without_a_link_where_none_is_known(deps: Deps, asker: Asker) -> None:
    with MailServer() as server:
        ours = mailing(deps, server.port)
        end_one(deps, asker)
        assert send_next(ours)
        [mail] = server.mails
        plain, html = parts(mail)
        assert mail["Subject"] == "Your course “Addition” could not be made"
        assert "The model refused this request." in plain and "http" not in plain and "href" not in html
        ours.close()


def test_a_title_cannot_add_a_header(deps: Deps, asker: Asker) -> None:
    with MailServer() as server:
        ours = mailing(deps, server.port)
        end_one(deps, asker, title="Sums\r\nBcc: all@school.example\r\n\r\nHello\u2028you")
        send_next(ours)
        [mail] = server.mails
        assert mail["Subject"] == "Your course “Sums Bcc: all@school.example Hello you” could not be made"
        assert mail["Bcc"] is None and server.recipients == ["teacher@school.example"]
        ours.close()


def test_what_is_not_taken_is_tried_again_as_the_same_mail(deps: Deps, asker: Asker) -> None:
    with MailServer() as server:
        ours = mailing(deps, server.port)
        server.refusals.append("451 Try again later")
        end_one(deps, asker)
        assert send_next(ours)
        assert mail_rows(deps) == [("pending", 1, "The mail server refuses the recipient.")]
        assert not send_next(ours), "it is not due yet"
        taken = None
        make_due(deps)
        taken = kept.take(deps.db)  # whoever took it is never heard of again
        assert taken is not None
        make_due(deps)
        assert send_next(ours)
        assert mail_rows(deps) == [("sent", 3, None)]
        assert server.mails[0]["Message-ID"] == f"<{taken.mail_id}@school.example>"
        ours.close()


def test_an_unknown_recipient_is_given_up_at_once_and_a_server_that_is_away_after_a_day(
    deps: Deps, asker: Asker
) -> None:
    with MailServer() as server:
        ours, port = mailing(deps, server.port), server.port
        server.refusals.append("550 No such user")
        end_one(deps, asker)
        send_next(ours)
        assert mail_rows(deps) == [("failed", 1, "The mail server refuses the recipient.")]
    change(deps, "UPDATE mails SET status = 'pending', due_at = clock_timestamp(), attempts = 0")
    away = mailing(deps, port)
    for _ in range(9):
        assert mail_rows(deps)[0][0] == "pending"
        send_next(away)
        make_due(deps)
    [(status, attempts, error)] = mail_rows(deps)
    assert (status, attempts, error) == ("failed", 9, "The mail server can't be reached (ConnectionRefusedError).")
    for one in (ours, away):
        one.close()


def test_a_mail_that_was_read_and_refused_is_given_up(deps: Deps, asker: Asker) -> None:
    with MailServer() as server:
        ours = mailing(deps, server.port)
        server.refusals_of_mails.append("554 We take no such mails")
        end_one(deps, asker)
        send_next(ours)
        assert (server.mails, mail_rows(deps)) == ([], [("failed", 1, "The mail server answered 554.")])
        ours.close()


@pytest.mark.parametrize("address", ["a@", "a@[", "two\nlines@school.example"])
def test_an_address_nobody_foresaw_is_not_tried_for_ever(
    deps: Deps, asker: Asker, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    with MailServer() as server:
        ours = mailing(deps, server.port)
        end_one(deps, asker, address)
        assert send_next(ours)
        assert mail_rows(deps) == [("pending", 1, "Something went wrong on our side.")]
        change(deps, "UPDATE mails SET attempts = 8")
        make_due(deps)
        assert send_next(ours) and not send_next(ours)
        assert (server.mails, mail_rows(deps)[0][0]) == ([], "failed")
        assert "mail_crashed" in caplog.text
        ours.close()


def test_without_a_mail_server_nothing_waits(deps: Deps, asker: Asker) -> None:
    end_one(deps, asker)
    assert send_next(deps)
    assert mail_rows(deps) == [("failed", 1, "No mail server is set (SMTP_URL and MAIL_FROM).")]
    assert list(servers.mail(deps)) == []
    change(deps, "UPDATE mails SET created_at = created_at - interval '31 days'")
    assert retention.purge(deps.db, jobs_hours=720, events_hours=168)["mails"] == 1


class TestEncryption:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def offered(self, authority: trustme.CA) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        return context

    @pytest.fixture
    def trusted(self, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
        """This machine trusts the authority."""

        def trusting() -> ssl.SSLContext:
            context = real()
            authority.configure_trust(context)
            return context

        real: Callable[[], ssl.SSLContext] = ssl.create_default_context
        monkeypatch.setattr(mails.ssl, "create_default_context", trusting)

    @pytest.mark.usefixtures("trusted")
    def test_a_password_goes_through_an_encrypted_connection(
        self, deps: Deps, asker: Asker, offered: ssl.SSLContext
    ) -> None:
        with MailServer(offered, signed_in=True) as server:
            ours = mailing(deps, server.port, who=QUOTED)
            end_one(deps, asker)
            send_next(ours)
            assert (server.encrypted, mail_rows(deps)) == ([True], [("sent", 1, None)])
            found = list(servers.mail(ours))
            assert [one.state for one in found] == ["ok", "warning"] and "PUBLIC_URL" in found[1].message
            ours.close()

    @pytest.mark.usefixtures("trusted")
    def test_a_wrong_password_is_told_without_it(self, deps: Deps, asker: Asker, offered: ssl.SSLContext) -> None:
        with MailServer(offered, signed_in=True) as server:
            ours = mailing(deps, server.port, who="courses:wrong-one@")
            end_one(deps, asker)
            send_next(ours)
            words = "The mail server refuses the user or the password of SMTP_URL."
            assert mail_rows(deps) == [("pending", 1, words)]
            [found] = servers.mail(ours)
            assert (found.state, found.message) == ("fault", words)
            ours.close()

    def test_a_password_is_not_sent_to_whoever_shows_a_wrong_certificate(
        self, deps: Deps, asker: Asker, offered: ssl.SSLContext
    ) -> None:
        with MailServer(offered, signed_in=True) as server:
            ours = mailing(deps, server.port, who=QUOTED)
            end_one(deps, asker)
            send_next(ours)
            words = "The encrypted connection to the mail server could not be made."
            assert (server.mails, mail_rows(deps)) == ([], [("pending", 1, words)])
            ours.close()

    def test_a_password_is_not_sent_in_the_clear(self, deps: Deps, asker: Asker) -> None:
        with MailServer() as server:
            ours = mailing(deps, server.port, who=QUOTED)
            end_one(deps, asker)
            send_next(ours)
            words = "The mail server offers no encryption, and the password is not sent without."
            assert (server.mails, mail_rows(deps)) == ([], [("pending", 1, words)])
            ours.close()

    def test_without_a_password_whatever_is_offered_is_taken(
        self, deps: Deps, asker: Asker, offered: ssl.SSLContext
    ) -> None:
        with MailServer(offered) as server:
            ours = mailing(deps, server.port)
            end_one(deps, asker)
            send_next(ours)
            assert server.encrypted == [True]
            ours.close()


def test_the_fake_knows_its_password() -> None:
    read = read_mail_settings(f"smtp://{QUOTED}mail.example:25", FROM)
    assert (read.user, read.password) == (USER, PASSWORD)

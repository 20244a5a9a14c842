from __future__ import annotations

from pathlib import Path

import pytest

from schema.errors import SettingsError
from schema.settings import ModelLimits, Settings, read_settings
from storage.bus import Bus
from storage.db import make_engine

#: The least that must be set.
ENVIRON = {
    "DATABASE_URL": "postgresql://coursewright:db-secret@db.example:5432/coursewright",
    "REDIS_URL": "redis://:redis-secret@redis.example:6379/0",
    "S3_ENDPOINT_URL": "https://s3.example",
    "S3_ACCESS_KEY": "access-secret",
    "S3_SECRET_KEY": "s3-secret",
    "SECRET_KEY": "cookie-secret",
}


def read(**changes: str) -> Settings:
    return read_settings(ENVIRON | changes)


def faults(**changes: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(**changes)
    assert caught.value.code == "bad_configuration"
    return caught.value.message


class TestWhatIsMissing:
    def test_the_least_is_enough_and_the_rest_has_its_defaults(self) -> None:
        settings = read()
        assert settings.home == Path(".coursewright").absolute()
        assert (settings.s3.courses_bucket, settings.s3.media_bucket) == ("courses", "media-library")
        assert (settings.model.timeout_seconds, settings.model.concurrency) == (120, 16)
        life = settings.jobs
        assert (life.heartbeat_seconds, life.stale_after_seconds) == (10, 60)
        assert (life.timeout_seconds, life.max_retries) == (1800, 3)
        assert (settings.retention.job_hours, settings.retention.event_hours) == (720, 168)
        assert (settings.host, settings.port, settings.flower_port) == ("127.0.0.1", 8000, 5555)
        assert settings.agent_token is None
        assert (settings.worker_concurrency, settings.media_concurrency, settings.web_concurrency) == (16, 2, 2)
        assert settings.streams_per_process == 5000
        guards = settings.guards
        assert (guards.rate_per_minute, guards.streams_per_identity, guards.trusted_proxies) == (600, 100, 0)
        assert (guards.cors_origins, guards.frame_ancestors) == (frozenset(), ("'self'",))

    @pytest.mark.parametrize("name", ENVIRON)
    @pytest.mark.parametrize("value", [None, "", "  "])
    def test_a_missing_or_empty_value_is_named_with_what_it_needs(self, name: str, value: str | None) -> None:
        given = {key: kept for key, kept in ENVIRON.items() if key != name}
        with pytest.raises(SettingsError, match=rf"\b{name} is not set\. It needs \w"):
            read_settings(given if value is None else given | {name: value})

    def test_everything_missing_is_told_at_once(self) -> None:
        with pytest.raises(SettingsError) as caught:
            read_settings({})
        for name in ENVIRON:
            assert f"{name} is not set" in caught.value.message
        assert "malformed" not in caught.value.message


MALFORMED = [
    *(("DATABASE_URL", url) for url in ("mysql://h/x", "db.example", "postgres+psycopg2://h/x")),
    *(("DATABASE_URL", f"postgresql://u:p@h:{port}/x") for port in ("abc", "0", "99999", "-1")),
    *(("REDIS_URL", url) for url in ("localhost:6379", "valkey://h/0", "unix:///run/redis", "redis://h:x/0")),
    *(("S3_ENDPOINT_URL", url) for url in ("s3.example", "https://", "https:///bucket", "ftp://h", "http://h:x")),
    *(("OPENAI_BASE_URL", url) for url in ("localhost:8080/v1", "https://", "http://h:x/v1")),
    *(("FLOWER_BASIC_AUTH", pair) for pair in ("user", "user:", ":password")),
    *(("HEARTBEAT_SECONDS", number) for number in ("0", "-1", "nan", "inf", "3601", "ten", "1s")),
    *(("STALE_AFTER_SECONDS", number) for number in ("0.5", "86401", "x")),
    *(("JOB_TIMEOUT_SECONDS", number) for number in ("0", "604801")),
    *(("JOB_MAX_RETRIES", number) for number in ("-1", "101", "1.5", "three", "1e1")),
    *(("MODEL_TIMEOUT_SECONDS", number) for number in ("0", "3601")),
    *(("MODEL_CONCURRENCY", number) for number in ("0", "1001", "2.0")),
    *(("PORT", number) for number in ("-1", "65536", "http")),
    *(("FLOWER_PORT", number) for number in ("-1", "65536")),
    *(("WORKER_CONCURRENCY", number) for number in ("0", "1001")),
    *(("MEDIA_CONCURRENCY", number) for number in ("0", "101")),
    *(("WEB_CONCURRENCY", number) for number in ("0", "65", "2.5", "two")),
    *(("STREAMS_PER_PROCESS", number) for number in ("0", "100001", "many")),
    *(("RATE_LIMIT_PER_MINUTE", number) for number in ("0", "1000001", "1.5")),
    *(("STREAMS_PER_IDENTITY", number) for number in ("0", "100001")),
    *(("TRUSTED_PROXIES", number) for number in ("-1", "11", "all")),
    *(("CORS_ORIGINS", origins) for origins in ("a.example", "https://a.example/x", "null", "https://a.example, *")),
    *(("FRAME_ANCESTORS", sites) for sites in ("none self", "https://a/b", "'self';", "javascript:", "data:")),
    *(("JOB_RETENTION_HOURS", number) for number in ("0", "1000001")),
    *(("EVENT_RETENTION_HOURS", number) for number in ("0", "1000001")),
    *(("RESEND_AFTER_SECONDS", number) for number in ("0", "3601")),
    *(("TURN_SECONDS", number) for number in ("-1", "3601")),
    *(("DISPATCH_WINDOW", number) for number in ("0", "100001")),
    *(("ORG_MAX_ACTIVE_JOBS", number) for number in ("0", "1000001")),
    *(("USER_JOBS_PER_HOUR", number) for number in ("0", "1000001")),
    *(("MODEL_CALLS_PER_MINUTE", number) for number in ("0", "-1", "many")),
    *(("MODEL_TOKENS_PER_MINUTE", number) for number in ("0", "1.5")),
    *(("ORG_MODEL_CALLS_PER_MINUTE", number) for number in ("0", "x")),
    *(("ORG_MODEL_TOKENS_PER_MINUTE", number) for number in ("0", "x")),
    *(("SENTRY_DSN", address) for address in ("key@sentry.example/1", "https://")),
    *(("OTEL_EXPORTER_OTLP_ENDPOINT", address) for address in ("127.0.0.1:4318", "grpc://h")),
    ("LOG_LEVEL", "LOUD"),
]


class TestWhatIsMalformed:
    @pytest.mark.parametrize(("name", "value"), MALFORMED)
    def test_a_malformed_value_is_named_with_what_it_needs(self, name: str, value: str) -> None:
        said = faults(**{name: value})
        assert said.startswith(f"{name} is ")
        assert "It needs " in said
        assert said.count("It needs") == 1, "one fault, told once"

    def test_all_faults_are_told_at_once(self) -> None:
        said = faults(DATABASE_URL="x", SECRET_KEY="", PORT="x", LOG_LEVEL="LOUD", MODEL_CONCURRENCY="0")
        for name in ("DATABASE_URL", "SECRET_KEY", "PORT", "LOG_LEVEL", "MODEL_CONCURRENCY"):
            assert name in said

    @pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "S3_ENDPOINT_URL", "OPENAI_BASE_URL"])
    def test_a_malformed_address_is_not_repeated_because_it_may_hold_a_password(self, name: str) -> None:
        assert "hunter2" not in faults(**{name: "nonsense://u:hunter2@host"})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("DATABASE_URL", "postgres://u:p@h/x"),
            ("DATABASE_URL", "postgresql+psycopg2://u:p%40@h:1/x"),
            ("DATABASE_URL", "postgresql://u:p#w:x@h:5432/x?sslmode=require"),
            ("DATABASE_URL", "postgresql:///x?host=/run/postgresql"),
            ("DATABASE_URL", "postgresql://u@[::1]:5432/x"),
            ("REDIS_URL", "rediss://:p@h:6380/1"),
            ("S3_ENDPOINT_URL", "http://127.0.0.1:9000"),
            ("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1"),
            ("FLOWER_BASIC_AUTH", "user:pass:word//x:y"),
        ],
    )
    def test_every_usual_form_is_taken_as_it_is(self, name: str, value: str) -> None:
        settings = read(**{name: value})
        kept = {
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "S3_ENDPOINT_URL": settings.s3.endpoint_url,
            "OPENAI_BASE_URL": settings.model.base_url,
            "FLOWER_BASIC_AUTH": settings.flower_basic_auth,
        }
        assert kept[name] == value

    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
    def test_every_scheme_taken_for_the_database_is_one_its_library_knows(self, scheme: str) -> None:
        url = read(DATABASE_URL=f"{scheme}://u:p@h:1/x").database_url
        assert make_engine(url, name="test").dialect.driver == "psycopg2"

    @pytest.mark.parametrize("scheme", ["redis", "rediss"])
    def test_every_scheme_taken_for_redis_is_one_its_library_knows(self, scheme: str) -> None:
        Bus(read(REDIS_URL=f"{scheme}://:p@h:1/0").redis_url).close()

    def test_spaces_around_a_value_do_not_count(self) -> None:
        assert read(PORT=" 8123 ", SECRET_KEY=" s \n").port == 8123
        assert read(SECRET_KEY=" s \n").secret_key == "s"

    def test_any_free_port_can_be_asked_for(self) -> None:
        assert read(PORT="0", FLOWER_PORT="0").port == 0


class TestHeartbeat:
    @pytest.mark.parametrize(("stale", "heartbeat"), [("2", 0.5), ("20", 5), ("40", 10), ("600", 10)])
    def test_it_follows_a_shortened_staleness(self, stale: str, heartbeat: float) -> None:
        assert read(STALE_AFTER_SECONDS=stale).jobs.heartbeat_seconds == heartbeat

    def test_one_too_slow_for_the_staleness_is_refused(self) -> None:
        said = faults(HEARTBEAT_SECONDS="30")
        assert "STALE_AFTER_SECONDS must be more than twice HEARTBEAT_SECONDS" in said
        assert read(HEARTBEAT_SECONDS="30", STALE_AFTER_SECONDS="60.5").jobs.heartbeat_seconds == 30
        assert "twice" in faults(HEARTBEAT_SECONDS="1", STALE_AFTER_SECONDS="2")


class TestModel:
    @pytest.mark.parametrize(
        ("given", "configured"),
        [
            ({}, False),
            ({"OPENAI_API_KEY": " "}, False),
            ({"OPENAI_API_KEY": "k"}, True),
            ({"OPENAI_BASE_URL": "http://h/v1"}, True),
        ],
    )
    def test_a_key_or_an_address_makes_one(self, given: dict[str, str], configured: bool) -> None:
        assert read(**given).model.configured is configured


class TestLimits:
    def test_there_are_none_unless_they_are_set(self) -> None:
        assert read().model.limits == ModelLimits(None, None, None, None)
        given = read(MODEL_CALLS_PER_MINUTE="60", ORG_MODEL_TOKENS_PER_MINUTE="9000").model.limits
        assert given == ModelLimits(calls=60, tokens=None, organization_calls=None, organization_tokens=9000)


class TestNotices:
    MAIL = {"SMTP_URL": "smtp://me:p%40ss@mail.example:2525", "MAIL_FROM": "Courses <courses@school.example>"}

    def test_nothing_is_set_unless_it_is(self) -> None:
        notices = read().notices
        assert (notices.mail, notices.public_url, notices.private_targets.any) == (None, None, False)

    def test_a_mail_server_and_who_writes(self) -> None:
        mail = read(**self.MAIL).notices.mail
        assert mail is not None
        assert (mail.host, mail.port, mail.tls, mail.user, mail.password) == ("mail.example", 2525, False, "me", "p@ss")
        assert (str(mail.sender), mail.sender.domain) == ("Courses <courses@school.example>", "school.example")
        assert "p@ss" not in repr(mail)

    @pytest.mark.parametrize(
        ("url", "port", "tls"),
        [("smtp://mail.example", 587, False), ("smtps://mail.example", 465, True), ("smtp://[::1]:25/", 25, False)],
    )
    def test_its_usual_ports(self, url: str, port: int, tls: bool) -> None:
        mail = read(SMTP_URL=url, MAIL_FROM="a@b.example").notices.mail
        assert mail is not None and (mail.port, mail.tls, mail.user) == (port, tls, None)

    @pytest.mark.parametrize("name", ["SMTP_URL", "MAIL_FROM"])
    def test_one_without_the_other_is_a_fault_that_names_both(self, name: str) -> None:
        other = ({"SMTP_URL", "MAIL_FROM"} - {name}).pop()
        assert faults(**{name: self.MAIL[name]}) == (
            f"{other} is not set, but {name} is. Set both to send mails, or neither."
        )

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *(("SMTP_URL", url) for url in ("mail.example:25", "http://a", "smtp://", "smtp://a:0", "smtp://a:b")),
            *(("SMTP_URL", url) for url in ("smtp://user@a", "smtp://a/path", "smtp://u:secret@a:99999")),
            *(("MAIL_FROM", text) for text in ("courses", "Courses <>", "a b@c", "a@b\nBcc: c@d", "a@b, c@d")),
            *(("WEBHOOK_PRIVATE_TARGETS", text) for text in ("10.0.0.0/33", "a b", "https://a.example")),
            *(("PUBLIC_URL", url) for url in ("courses.example", "https://", "https://a?b", "https://a b")),
        ],
    )
    def test_what_is_malformed_is_named_without_its_value(self, name: str, value: str) -> None:
        told = faults(**{**self.MAIL, name: value})
        assert told.startswith(f"{name} is malformed. It needs ") and "secret" not in told

    def test_the_address_of_the_web_has_no_slash_at_its_end(self) -> None:
        assert read(PUBLIC_URL="https://a.example/courses/").notices.public_url == "https://a.example/courses"


class TestSecrets:
    def test_no_text_of_the_settings_shows_one(self) -> None:
        secrets = {
            "OPENAI_API_KEY": "model-secret",
            "OPENAI_BASE_URL": "https://u:url-secret@h",
            "AGENT_TOKEN": "agent-secret",
            "FLOWER_BASIC_AUTH": "u:flower-secret",
            "SENTRY_DSN": "https://sentry-secret@sentry.example/1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://u:otel-secret@h:4318",
        }
        settings = read(**secrets)
        for shown in (settings, settings.s3, settings.model, [settings.s3, settings.model]):
            for text in (repr(shown), str(shown), f"{shown}"):
                assert "secret" not in text.replace("secret_key=", "")

    def test_settings_can_not_be_changed(self) -> None:
        with pytest.raises(AttributeError):
            read().port = 1  # type: ignore[misc]

"""What is taken out of lines before they are written."""

from __future__ import annotations

import json
import time

import pytest

from schema.redaction import HIDDEN, SHORTEST, Known, redacted
from schema.secrets import secrets_of
from schema.settings import read_settings
from schema.webhook import secret_of

#: Words, with the secret in them that must not be left.
SHAPES = [
    ("Authorization: Bearer abc.def-ghi_jkl", "abc.def-ghi_jkl"),
    ("it said Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl is old", "eyJzdWIiOiIxIn0"),
    ("key sk-proj-abcdefghijklmnopqrstuvwxyz123456", "abcdefghijklmnop"),
    ("cw_abcd1234_" + "Z" * 43, "Z" * 43),
    (f"secret {secret_of(bytes(32))}", "AAAAAAAA"),
    ("GET /login/.eyJvbmNlIjoiYWJjIn0.xyz_123 403", "eyJvbmNl"),
    ("/api/jobs/1/stream?token=abc.def&x=1", "abc.def"),
    ("https://s3/courses/a?X-Amz-Credential=AK%2F2026&X-Amz-Signature=0123abcd", "0123abcd"),
    ("postgresql://coursewright:pass/w?rd@127.0.0.1:5432/x", "pass/w?rd"),
    ("postgresql://coursewright:one@two@127.0.0.1:5432/x", "two"),
    ("redis://:only-a-password@127.0.0.1:6379/0", "only-a-password"),
    ("connection to host=a password=swordfish failed", "swordfish"),
    ("{'X-Agent-Token': 'abcdefgh', 'Host': 'x'}", "abcdefgh"),
    ("Cookie: coursewright=abcdefgh", "abcdefgh"),
]


@pytest.mark.parametrize(("words", "secret"), SHAPES, ids=[str(number) for number in range(len(SHAPES))])
def test_what_looks_like_a_secret_is_hidden_and_the_rest_is_left(words: str, secret: str) -> None:
    assert secret in words
    told = redacted(words)
    assert secret not in told and HIDDEN in told
    assert redacted(told) == told


@pytest.mark.parametrize(
    "words",
    [
        "job 72062cdf-4e3e-4913-88d0-d9c89ecdf064 of course the-water-cycle-nnt7gw is done",
        "GET https://courses.example.org/api/jobs?status=done 200",
        "http://127.0.0.1:8000/login",
        "The model endpoint refused our key (HTTP 401). Check OPENAI_API_KEY, and that it may use gpt-5.2.",
        "cw_abcd1234 was revoked",
        "the token of the lease is 17",
        "sk-learn-for-beginners",
    ],
)
def test_ordinary_words_are_left_alone(words: str) -> None:
    assert redacted(words) == words


@pytest.mark.parametrize("sign", ["a.", "A-", "http://a:", "http://", "://a", "password=", "?token=", "eyJa"])
def test_a_long_line_is_read_quickly(sign: str) -> None:
    began = time.process_time()
    redacted(sign * (200_000 // len(sign)))
    assert time.process_time() - began < 2


@pytest.mark.parametrize("value", ["swordfish!", 'with "quotes" and \\', "größe/ä b", "a+b/c=="])
def test_a_known_value_is_found_in_every_spelling(value: str) -> None:
    from urllib.parse import quote

    known = Known()
    known.add([value])
    for spelt in (value, json.dumps(value), json.dumps(value, ensure_ascii=False), quote(value, safe="")):
        assert known.out_of(f"<{spelt}>").strip('<">') == HIDDEN


def test_a_longer_secret_is_not_left_in_part_by_a_shorter_one() -> None:
    known = Known()
    known.add(["secret", None, "", "secret-and-more", "x" * (SHORTEST - 1)])
    assert known.out_of("a secret-and-more b xxxxx") == f"a {HIDDEN} b xxxxx"


def test_every_setting_that_is_a_secret_is_known_by_its_value() -> None:
    environ = {
        "DATABASE_URL": "postgresql://owner:of-owner@127.0.0.1/x",
        "WEB_DATABASE_URL": "postgresql://coursewright_web:of%2Fweb@127.0.0.1/x",
        "WORKER_DATABASE_URL": "postgresql://coursewright_worker:of-worker@127.0.0.1/x",
        "REDIS_URL": "redis://:of-redis@127.0.0.1/0",
        "S3_ENDPOINT_URL": "http://127.0.0.1",
        "S3_ACCESS_KEY": "of-s3-user",
        "S3_SECRET_KEY": "of-s3",
        "SECRET_KEY": "of-signing",
        "SECRET_KEY_OLD": "of-signing-before",
        "AGENT_TOKEN": "of-agents",
        "AGENT_TOKEN_OLD": "of-agents-before",
        "OPENAI_API_KEY": "of-model",
        "OPENAI_BASE_URL": "https://user:of-endpoint@127.0.0.1/v1",
        "JWT_SECRET": "of-users-0123456789012345678901234567890",
        "JWT_AUDIENCE": "us",
        "JWT_ISSUER": "them",
        "FLOWER_BASIC_AUTH": "operator:of-flower",
        "SMTP_URL": "smtp://mail:of%20mail@127.0.0.1",
        "MAIL_FROM": "courses@example.org",
        "SENTRY_DSN": "https://of-sentry@127.0.0.1/1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:of-traces@127.0.0.1:4318",
    }
    found = secrets_of(read_settings(environ))
    wanted = {
        *("of-owner", "of%2Fweb", "of/web", "of-worker", "of-redis", "of-s3-user", "of-s3", "of-signing", "of-agents"),
        *("of-signing-before", "of-agents-before", "of-model", "of-endpoint", environ["JWT_SECRET"], "of-flower"),
        *("of mail", "of-sentry", "of-traces"),
    }
    assert found == wanted

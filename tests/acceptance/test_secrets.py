"""A whole system with a secret in every setting is used and driven into errors. Then nothing it has written anywhere
holds one of them: logs, tables, the store, Redis, answers, deliveries, crash reports, traces, command lines, files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.cookies import SimpleCookie
from typing import Any

import jwt
import psycopg2
import pytest

from schema.clock import new_id
from storage.embedded import read_secrets
from tests import hunting
from tests.acceptance.conftest import COMMAND, ROOT, TOKEN, System, environment_for, running
from tests.conftest import eventually
from tests.fakes.model_server import ModelServer
from tests.fakes.receiver import Receiver, Reply
from tests.fakes.sink import Sink
from tests.hunting import Place, leaks

#: Recognizable, and long enough that half of one is no accident.
SECRET = {
    "SECRET_KEY": "signing-5c1f0e7a9b3d4c62-signing",
    "SECRET_KEY_OLD": "signing-before-0d9e8f7a6b5c4d3e",
    "AGENT_TOKEN": TOKEN,
    "AGENT_TOKEN_OLD": "agents-before-1a2b3c4d5e6f7081",
    "OPENAI_API_KEY": "sk-of-this-system-1122334455667788990011",
    "JWT_SECRET": "users-9182736455463728-users-9182736455463728",
    "JWT_SECRET_OLD": "users-before-5647382910-users-before-5647382910",
    "model": "endpoint-6677889900aabbcc",
    "flower": "flower-a1b2c3d4e5f60718",
    "mail": "mail-0f1e2d3c4b5a6978",
    "sentry": "5e9d1c3b7a2f40689d0c1b2a3f4e5d6c",
}
#: Wrong ones that were tried: typed in haste, each may be right elsewhere.
TRIED = {
    "a wrong agent token": "wrong-agent-token-8899aabbccddeeff",
    "a wrong password": "Basic d3Jvbmc6cGFzc3dvcmQtMTIzNDU2Nzg=",
    "a wrong login link": ".eJwrongwrongwrongwrong.wrong-signature-0011223344",
    "a wrong stream token": ".eJstreamstreamstream.wrong-signature-5566778899",
}
#: Text that is no secret and must be found: a place in which it isn't was not looked at.
CANARY = "canary-3e5b7d9f1a2c4e60"
#: Deliveries are signed with it, so it can't be kept as a hash.
NEEDED = {"webhooks": "secret"}


@dataclass
class Story:
    """What happened: the system, every secret there was, and everything that was seen of it from outside."""

    system: System
    secrets: dict[str, str]
    settings: dict[str, str]
    seen: list[Place] = field(default_factory=list)

    def ask(
        self, method: str, path: str, body: Any = None, *, tells: str = "", headers: Mapping[str, str] | None = None
    ) -> Any:
        """Call, and keep what was answered. ``tells``: the answer's field that is meant to tell a secret, once."""
        answer = self.system.call(method, path, body, headers=dict(headers or {}))
        head = {name: value for name, value in answer.headers.items() if name.lower() != "set-cookie"}
        found = answer.json() if answer.data and "json" in answer.headers.get("Content-Type", "") else {}
        told = {**found}
        if tells:
            assert tells in told, answer.data
            self.secrets[f"{tells} of {path.split('?')[0][:30]}"] = told.pop(tells)
        # The address of a stream is a secret that whoever sees the job is given.
        told.pop("streamUrl", None)
        shown = json.dumps(told).encode() if found else answer.data
        self.seen.append((f"answer to {method} {path[:40]}", f"{answer.status} {head}".encode() + shown))
        return found | {"status_of_answer": answer.status}

    def environment(self) -> dict[str, str]:
        read: dict[str, str] = json.loads((self.system.home / "run" / "environment.json").read_text())
        return read

    def command(self, *words: str) -> str:
        environ = environment_for(self.system.home, **self.settings)
        ended = subprocess.run([*COMMAND, *words], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        self.seen.append((f"command {' '.join(words)[:30]}", f"{ended.stdout}{ended.stderr}".encode()))
        return ended.stdout


def sign_in_and_out(story: Story) -> None:
    """By a login link, and with a user's token that is exchanged for a session."""
    link = story.system.ready["loginUrl"]
    story.secrets["a login link"] = link.rpartition("/")[2]
    for _ in range(2):  # the second time it is spent
        answer = story.system.http.request("GET", link, redirect=False)
        story.seen.append(("answer to a login link", answer.data))
        for name, kept in SimpleCookie(answer.headers.get("Set-Cookie", "")).items():
            story.secrets[f"the cookie {name}"] = kept.value
    cookie = f"coursewright={story.secrets['the cookie coursewright']}"
    own = story.system.http.request("GET", f"{story.system.url}/api/session", headers={"Cookie": cookie}).json()
    story.secrets["a csrf token"] = own["csrfToken"]
    page = story.system.http.request(
        "GET", f"{story.system.url}/audit", headers={"Cookie": cookie, "Accept": "text/html"}
    )
    assert page.status == 200
    written = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": "wrong-csrf-token-aabbccddeeff0011"}
    assert story.system.http.request("DELETE", f"{story.system.url}/api/session", headers=written).status == 403


def be_a_user(story: Story) -> None:
    for number, key in enumerate(
        (SECRET["JWT_SECRET"], SECRET["JWT_SECRET_OLD"], "not-the-key-not-the-key-not-the-key!")
    ):
        claims = {
            **{"sub": f"user-{number}", "org": story.system.organization, "role": "author"},
            **{"aud": "coursewright-tests", "iss": "tests", "exp": datetime.now(UTC) + timedelta(minutes=5)},
        }
        token = jwt.encode(claims, key, algorithm="HS256")
        story.secrets[f"a user's token {number}"] = token.rpartition(".")[2]
        headers = {"Authorization": f"Bearer {token}", "X-Agent-Token": "", "X-Organization-Id": ""}
        sent = {"Authorization": headers["Authorization"]}
        answer = story.system.http.request("GET", f"{story.system.url}/api/jobs", headers=sent)
        assert answer.status == (401 if number == 2 else 200), answer.data
        story.seen.append(("answer to a user", answer.data))


def try_wrong_keys(story: Story) -> None:
    assert (
        story.ask("GET", "/api/jobs", headers={"X-Agent-Token": TRIED["a wrong agent token"]})["status_of_answer"]
        == 401
    )
    plain = {"Authorization": TRIED["a wrong password"]}
    for path in (
        f"/login/{TRIED['a wrong login link']}",
        f"/api/jobs/{new_id()}/stream?token={TRIED['a wrong stream token']}",
    ):
        answer = story.system.http.request("GET", story.system.url + path, headers=plain, redirect=False)
        assert answer.status in (401, 403), (path, answer.status)
        story.seen.append(("answer to a wrong key", answer.data))
    flower = story.system.http.request("GET", story.system.ready["flowerUrl"], headers=plain)
    assert flower.status == 401
    store = story.environment()["S3_ENDPOINT_URL"]
    assert (
        story.system.http.request("GET", f"{store}/courses/catalog.json?X-Amz-Signature=0123456789abcdef").status == 403
    )


def use_tokens(story: Story) -> None:
    made = story.ask("POST", "/api/tokens", {"name": f"robot {CANARY}"}, tells="token")
    token = story.secrets["token of /api/tokens"]
    assert story.ask("GET", "/api/jobs", headers={"X-Agent-Token": token})["status_of_answer"] == 200
    story.ask("DELETE", f"/api/tokens/{made['tokenId']}")
    assert story.ask("GET", "/api/jobs", headers={"X-Agent-Token": token})["status_of_answer"] == 401


def tell_webhooks(story: Story, receiver: Receiver) -> None:
    receiver.replies += [Reply(500, body=b"it broke"), Reply(302, {"Location": "http://127.0.0.1:1/"})]
    hook = story.ask("POST", "/api/webhooks", {"url": receiver.url, "description": CANARY}, tells="secret")
    story.ask("POST", f"/api/webhooks/{hook['webhookId']}/test")
    eventually(lambda: receiver.received, 30, "the first delivery")
    story.ask("POST", f"/api/webhooks/{hook['webhookId']}/rotate-secret", tells="secret")
    story.ask("GET", f"/api/webhooks/{hook['webhookId']}/deliveries")
    story.ask("GET", "/api/webhooks")
    # Statements carry their values; so do errors of the database, which quote the line.
    with closing(psycopg2.connect(story.environment()["DATABASE_URL"])) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("ALTER TABLE webhooks RENAME COLUMN secret TO hidden")
        try:
            answer = story.ask("POST", f"/api/webhooks/{hook['webhookId']}/rotate-secret")
            assert answer["status_of_answer"] == 500
        finally:
            cursor.execute("ALTER TABLE webhooks RENAME COLUMN hidden TO secret")


def make_courses(story: Story, model: ModelServer) -> None:
    """One that is made, one whose key the model refuses, one whose model breaks down, and mails of all of them."""
    story.ask(
        "PUT",
        "/api/settings",
        {"settings": {"notifyEmails": ["teacher@example.org"], "notifyOn": ["completed", "failed"]}},
    )
    made = story.ask("POST", "/api/jobs", course(notes=f"Speak of {CANARY}."), tells="streamUrl")
    story.system.finished(made["jobId"])
    story.secrets["stream token"] = story.secrets.pop("streamUrl of /api/jobs").partition("token=")[2]
    stream = f"{story.system.url}/api/jobs/{made['jobId']}/stream?token={story.secrets['stream token']}"
    assert story.system.http.request("GET", stream).status == 200
    for path in ("", "/events?after=0", "/partial"):
        story.ask("GET", f"/api/jobs/{made['jobId']}{path}")
    for fault in ("401", "misshaped"):
        model.script([{"fault": fault, "times": 50}])
        job = story.ask("POST", "/api/jobs", course(notes=f"{CANARY} {fault}"))["jobId"]
        failed = eventually(partial(ended, story, job), 60, f"the end of the job with {fault}")
        assert failed["status"] in {"failed", "dead_letter"}, failed["status"]
        story.ask("GET", f"/api/admin/jobs/{job}")
        model.forget(faults=True)


def course(**more: str) -> dict[str, Any]:
    asked = {"subject": "Volcanoes", "gradeBand": "3-5", "mode": "options", "itemsPerGroup": 1, "studyTextsCount": 1}
    return {"jobType": "course", "payload": {**asked, "levelsCount": 1, **more}}


def ended(story: Story, job_id: str) -> dict[str, Any] | None:
    job = story.system.job(job_id)
    return job if job["status"] in {"failed", "dead_letter", "done"} else None


def look_around(story: Story) -> None:
    for path in (
        "/metrics",
        "/readyz",
        "/api/openapi.json",
        "/api/audit",
        "/api/audit.csv",
        "/api/settings",
        "/api/tokens",
    ):
        story.ask("GET", path)
    story.command("doctor", "--json", "--model", "--no-ping")
    for words in (("jobs", "list", "--json"), ("audit", "--json"), ("audit", "--strangers"), ("org", "list", "--json")):
        assert story.command(*words).strip(), words
    line = {**story.system.ready, "loginUrl": ""}  # the one thing in it that is meant to open something
    story.seen.append(("up --json", json.dumps(line).encode()))


@pytest.fixture(scope="module")
def story() -> Iterator[tuple[Story, dict[str, list[Place]]]]:
    """The whole story, and every place that was written to, by kind."""
    with ExitStack() as stack:
        model = stack.enter_context(ModelServer())
        receiver = stack.enter_context(Receiver())
        sink = stack.enter_context(Sink())
        address = f"http://model:{SECRET['model']}@127.0.0.1:{model.port}/v1"
        chosen = settings(address, sink)
        system = stack.enter_context(running(**chosen))
        kept = {name: value for name, value in vars(read_secrets(system.home)).items() if name != "secret_key"}
        secrets = {**SECRET, **TRIED, **{f"the embedded {name}": value for name, value in kept.items()}}
        told = Story(system, secrets, chosen)
        environment = told.environment()
        with hunting.overheard(environment["REDIS_URL"]) as heard:
            sign_in_and_out(told)
            be_a_user(told)
            try_wrong_keys(told)
            use_tokens(told)
            tell_webhooks(told, receiver)
            make_courses(told, model)
            look_around(told)
        eventually(lambda: sink.events and sink.spans, 30, "a crash report and a trace")
        delivered = [f"{one.path} {dict(one.headers)}".encode() + one.body for one in receiver.received]
        servers = {name: pid for name, pid in system.pids().items() if name in {"postgres", "valkey", "s3"}}
        places = {
            "logs": list(hunting.logs(system.home)),
            "tables": list(hunting.tables(environment["DATABASE_URL"], NEEDED)),
            "objects": list(hunting.objects(environment)),
            "redis": [*heard, *hunting.kept_in_redis(environment["REDIS_URL"])],
            "answers": told.seen,
            "deliveries": [("a delivery", one) for one in delivered],
            "reports": [("a crash report or a trace", one.encode()) for one in sink.raw],
            "command lines": list(hunting.command_lines(system.pids().values())),
            "open files": list(hunting.open_files(system.home)),
            "environments": list(hunting.environments(servers)),
        }
        yield told, places


def settings(model: str, sink: Sink) -> dict[str, str]:
    """A secret in every setting that takes one, and logs that say as much as they can."""
    of_sentry = sink.dsn.replace("key@", f"{SECRET['sentry']}@")
    named = {name: value for name, value in SECRET.items() if name.isupper()}
    return {
        **named,
        "OPENAI_BASE_URL": model,
        "JWT_AUDIENCE": "coursewright-tests",
        "JWT_ISSUER": "tests",
        "FLOWER_BASIC_AUTH": f"operator:{SECRET['flower']}",
        # Nobody answers there: what is tried, and why it failed, is written down.
        "SMTP_URL": f"smtp://courses:{SECRET['mail']}@127.0.0.1:1",
        "MAIL_FROM": "Coursewright <courses@example.org>",
        "SENTRY_DSN": of_sentry,
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.collector,
        "WEBHOOK_PRIVATE_TARGETS": "127.0.0.1",
        "RATE_LIMIT_PER_MINUTE": "100000",
        "JOB_MAX_RETRIES": "0",
        "LOG_LEVEL": "DEBUG",
    }


#: What each kind of place is known to hold, so that a hunt that looks nowhere is noticed.
HELD = {
    "logs": '"event": "request"',
    "tables": CANARY,
    "objects": CANARY,
    "redis": "coursewright",
    "answers": CANARY,
    "deliveries": "webhook-signature",
    "reports": "coursewright-web",
    "command lines": "postgres",
    "environments": "WEED_HTTPS_CLIENT_ENABLED",
}
#: What its own server must be told; the environment of another user's process is nobody's but root's.
OWN = {"the embedded filer in environment of s3"}


@pytest.mark.parametrize("kind", [*HELD, "open files"])
def test_nothing_written_holds_a_secret(story: tuple[Story, dict[str, list[Place]]], kind: str) -> None:
    told, places = story
    assert len(told.secrets) > 25
    # The key of a crash report's receiver goes with each report, and the receiver is who made it.
    secrets = {name: value for name, value in told.secrets.items() if kind != "reports" or name != "sentry"}
    assert leaks(places[kind], secrets) - OWN == set()


@pytest.mark.parametrize("kind", HELD)
def test_the_hunt_looks_where_it_says(story: tuple[Story, dict[str, list[Place]]], kind: str) -> None:
    _, places = story
    assert any(HELD[kind].encode() in content for _, content in places[kind]), f"{len(places[kind])} places of {kind}"


def test_the_hunt_finds_what_is_there(story: tuple[Story, dict[str, list[Place]]]) -> None:
    """In the one column that must hold a secret it is found, and so is one that is planted anywhere else."""
    told, places = story
    everything = hunting.tables(told.environment()["DATABASE_URL"], {})
    assert {"a webhook's secret in table webhooks"} <= leaks(everything, told.secrets)
    for name, secret in told.secrets.items():
        for spelt in (secret, json.dumps({"a": secret}), secret[: len(secret) // 2 + 1], f"x{secret.encode().hex()}y"):
            assert f"{name} in here" in leaks([("here", spelt.encode())], {name: secret}), name
    assert leaks([("here", b"Authorization: Bearer abcdefgh.ijkl")], {}) == {"a bearer token in here"}
    assert len(places["logs"]) >= 9 and len({place for place, _ in places["tables"]}) > 15

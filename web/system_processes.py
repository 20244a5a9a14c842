"""Which processes make up a running system on one machine, and the environment they share."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from schema.settings import Settings, read_settings
from storage import embedded
from storage.embedded import Secrets, read_secrets
from storage.processes import Spec, StartFailed, answers
from web.address import choose_port, reached_at, url_of

ROOT = Path(__file__).parent.parent
WEB_PORT, FLOWER_PORT = 8000, 5555


#: What stands for a server that isn't started yet, so that every other setting can be judged before it is.
_STANDING_IN = {
    "DATABASE_URL": {"DATABASE_URL": "postgresql://127.0.0.1/none"},
    "REDIS_URL": {"REDIS_URL": "redis://127.0.0.1"},
    "S3_ENDPOINT_URL": {"S3_ENDPOINT_URL": "http://127.0.0.1", "S3_ACCESS_KEY": "none", "S3_SECRET_KEY": "none"},
    "SECRET_KEY": {"SECRET_KEY": "none"},
}


@dataclass(frozen=True)
class Plan:
    """Servers to start first, the app's processes, and what all of them find in their environment."""

    servers: list[Spec]
    environment: dict[str, str] = field(repr=False)
    host: str
    port: int
    flower_port: int


def plan_servers(home: Path, environ: Mapping[str, str]) -> Plan:
    """Embedded servers for everything the environment doesn't point elsewhere, and free ports where ours are busy.

    Raises ``SettingsError`` naming every faulty setting, and ``StartFailed`` when an address or a port that was asked
    for can't be had; both before anything is made."""
    asked = _checked(environ)
    port, flower_port = _ports(asked, environ)
    keys = read_secrets(home)
    servers: list[Spec] = []
    extra: dict[str, str] = {"COURSEWRIGHT_HOME": str(home), "HOST": asked.host}
    if not _is_set(environ, "DATABASE_URL"):
        spec, extra["DATABASE_URL"] = embedded.postgres(home, keys)
        extra |= embedded.role_urls(extra["DATABASE_URL"], keys)
        servers.append(spec)
    if not _is_set(environ, "REDIS_URL"):
        spec, extra["REDIS_URL"] = embedded.valkey(home, keys)
        servers.append(spec)
    if not _is_set(environ, "S3_ENDPOINT_URL"):
        spec, extra["S3_ENDPOINT_URL"] = embedded.s3(home, keys)
        extra |= {"S3_ACCESS_KEY": keys.s3_access, "S3_SECRET_KEY": keys.s3_secret}
        servers.append(spec)
    extra |= {"PORT": str(port), "FLOWER_PORT": str(flower_port)}
    extra |= _defaults(environ, keys)
    return Plan(servers, extra, asked.host, port, flower_port)


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return bool(environ.get(name, "").strip())


def _checked(environ: Mapping[str, str]) -> Settings:
    given = dict(environ)
    for name, instead in _STANDING_IN.items():
        if not _is_set(environ, name):
            given |= instead
    return read_settings(given)


def _defaults(environ: Mapping[str, str], keys: Secrets) -> dict[str, str]:
    own = {"SECRET_KEY": keys.secret_key, "FLOWER_BASIC_AUTH": f"coursewright:{keys.flower}"}
    return {name: value for name, value in own.items() if not _is_set(environ, name)}


def _ports(asked: Settings, environ: Mapping[str, str]) -> tuple[int, int]:
    """The ports of the web and of Flower."""
    web = asked.port if _is_set(environ, "PORT") else None
    flower = asked.flower_port if _is_set(environ, "FLOWER_PORT") else None
    if web and web == flower:
        raise StartFailed(f"PORT and FLOWER_PORT are both {web}. Set one of them to another port, or to 0.")
    return (
        choose_port(asked.host, "PORT", web, WEB_PORT),
        choose_port(asked.host, "FLOWER_PORT", flower, FLOWER_PORT),
    )


def app_processes(home: Path, environment: Mapping[str, str]) -> list[Spec]:
    """The processes of the Procfile, each with its log under the home folder."""
    specs = []
    for line in (ROOT / "Procfile").read_text("utf-8").splitlines():
        name, _, command = line.partition(":")
        if not command.strip() or name.startswith("#"):
            continue
        argv = shlex.split(_expanded(command, environment))
        specs.append(
            Spec(
                name=name.strip(),
                argv=[*_runnable(argv[0]), *argv[1:]],
                log=home / "logs" / f"{name.strip()}.log",
                env=dict(environment)
                | _database_for(name.strip(), environment)
                | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                cwd=ROOT,
                ready=_ready(name.strip(), environment),
                ready_within=60,
                grace=9,
            )
        )
    return specs


#: The web, and those who ask the database nothing, but read all settings.
_WALLED = {"web", "beat", "flower"}


def _database_for(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What a process is told of the database: the address by which it goes there itself, and never the owner's, unless
    that is all there is."""
    own = "WEB_DATABASE_URL" if name in _WALLED else "WORKER_DATABASE_URL"
    url = environment.get(own) or os.environ.get(own)
    return {"WEB_DATABASE_URL": "", "WORKER_DATABASE_URL": "", "DATABASE_URL": url, own: url} if url else {}


def _expanded(command: str, environment: Mapping[str, str]) -> str:
    """``${NAME:-default}`` as a shell would read it."""
    return re.sub(
        r"\$\{(\w+):-([^}]*)\}",
        lambda found: environment.get(found[1]) or os.environ.get(found[1]) or found[2],
        command,
    )


def _runnable(program: str) -> list[str]:
    """The program beside this Python, so that nothing depends on PATH. Celery's has an entry that loads less."""
    if program == "python":
        return [sys.executable]
    return [sys.executable, "-m", "tasks.launch" if program == "celery" else program]


def _ready(name: str, environment: Mapping[str, str]) -> Callable[[], bool]:
    host = environment.get("HOST", "127.0.0.1")
    if name == "web":
        return lambda: _healthy(f"{url_of(host, int(environment['PORT']))}/healthz")
    if name == "flower":
        return lambda: answers(int(environment["FLOWER_PORT"]), reached_at(host))
    return lambda: True


def _healthy(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address on this machine
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False

"""Which processes make up a running system on one machine, and the environment they share."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from storage import embedded
from storage.embedded import Secrets, read_secrets
from storage.processes import Spec, StartFailed, answers, free_port

ROOT = Path(__file__).parent.parent
WEB_PORT, FLOWER_PORT = 8000, 5555


@dataclass(frozen=True)
class Plan:
    """Servers to start first, the app's processes, and what all of them find in their environment."""

    servers: list[Spec]
    environment: dict[str, str]
    port: int
    flower_port: int


def plan_servers(home: Path, environ: Mapping[str, str]) -> Plan:
    """Embedded servers for everything the environment doesn't point elsewhere, and free ports where ours are busy.

    Raises ``StartFailed`` when a port that was asked for by number is busy."""
    keys = read_secrets(home)
    servers: list[Spec] = []
    extra: dict[str, str] = {"COURSEWRIGHT_HOME": str(home), "COURSEWRIGHT_EMBEDDED": "1"}
    if not environ.get("DATABASE_URL"):
        spec, extra["DATABASE_URL"] = embedded.postgres(home, keys)
        servers.append(spec)
    if not environ.get("REDIS_URL"):
        spec, extra["REDIS_URL"] = embedded.valkey(home, keys)
        servers.append(spec)
    if not environ.get("S3_ENDPOINT_URL"):
        spec, extra["S3_ENDPOINT_URL"] = embedded.s3(home, keys)
        extra |= {"S3_ACCESS_KEY": keys.s3_access, "S3_SECRET_KEY": keys.s3_secret}
        servers.append(spec)
    port = _port(environ, "PORT", WEB_PORT)
    flower_port = _port(environ, "FLOWER_PORT", FLOWER_PORT)
    extra |= {"PORT": str(port), "FLOWER_PORT": str(flower_port)}
    extra |= _defaults(environ, keys)
    return Plan(servers, extra, port, flower_port)


def _defaults(environ: Mapping[str, str], keys: Secrets) -> dict[str, str]:
    own = {"SECRET_KEY": keys.secret_key, "FLOWER_BASIC_AUTH": f"coursewright:{keys.flower}"}
    return {name: value for name, value in own.items() if not environ.get(name)}


def _port(environ: Mapping[str, str], name: str, preferred: int) -> int:
    asked = environ.get(name, "").strip()
    if not asked:
        return free_port(preferred)
    if not re.fullmatch(r"\d{1,5}", asked) or int(asked) > 65535:
        raise StartFailed(f"{name} is {asked!r}. It needs a port number, or 0 for any free one.")
    found = free_port(int(asked))
    if int(asked) and found != int(asked):
        raise StartFailed(f"Port {asked} is in use. Set {name} to another one, or to 0 for any free one.")
    return found


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
                env=dict(environment) | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                cwd=ROOT,
                ready=_ready(name.strip(), environment),
                ready_within=60,
                grace=9,
            )
        )
    return specs


def _expanded(command: str, environment: Mapping[str, str]) -> str:
    """``${NAME:-default}`` as a shell would read it."""
    return re.sub(
        r"\$\{(\w+):-([^}]*)\}",
        lambda found: environment.get(found[1]) or os.environ.get(found[1]) or found[2],
        command,
    )


def _runnable(program: str) -> list[str]:
    """The program beside this Python, so that nothing depends on PATH."""
    if program == "python":
        return [sys.executable]
    return [sys.executable, "-m", program]


def _ready(name: str, environment: Mapping[str, str]) -> Callable[[], bool]:
    if name == "web":
        return lambda: _healthy(f"http://127.0.0.1:{environment['PORT']}/healthz")
    if name == "flower":
        return lambda: answers(int(environment["FLOWER_PORT"]))
    return lambda: True


def _healthy(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address on this machine
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False

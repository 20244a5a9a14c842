"""The doctor's look at this machine: settings, disk, ports, processes, packages; and at the model's endpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import psutil
import urllib3
from urllib3.exceptions import HTTPError

from schema.errors import SettingsError
from schema.settings import Settings, read_settings
from storage.processes import StartFailed, answers
from tasks.deps import Deps
from web.address import choose_port, reached_at, url_of
from web.doctor.finding import Finding, fault, ok, warning

#: Free room, in bytes, below which a start is refused, and below which it is time to act.
LEAST_FREE, LITTLE_FREE = 500_000_000, 2_000_000_000
_MEND_SETTING = "Set it in the environment of every process (README, Configuration), and start them again."


def settings_of(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Every setting that is missing or malformed, by its name; and what is allowed but hardly meant."""
    try:
        read = read_settings(environ)
    except SettingsError as error:
        for sentence in error.details["faults"]:
            yield fault("settings", sentence, _MEND_SETTING)
        return
    yield ok("settings", "All are there and well formed.")
    if len(read.secret_key) < 32:
        words = "SECRET_KEY is short; whoever guesses it can sign in as anybody."
        yield warning("settings", words, "Set it to the output of: openssl rand -hex 24")
    if any(len(token) < 32 for token in read.identity.agent_tokens):
        words = "AGENT_TOKEN is short; whoever guesses it is an admin of every organization."
        yield warning("settings", words, "Set it to the output of: openssl rand -hex 24")
    if read.flower_basic_auth is None:
        yield warning("settings", "FLOWER_BASIC_AUTH is not set, so Flower does not start.", "Set it to user:password.")
    if (read.notices.public_url or "").startswith("https://") and not read.guards.trusted_proxies:
        words = "PUBLIC_URL is https, so a proxy stands before the web, and TRUSTED_PROXIES is 0: all callers have the "
        yield warning("settings", f"{words}proxy's address and share its limits.", "Set TRUSTED_PROXIES to 1.")
    yield from _packages(read)


def _packages(read: Settings) -> Iterator[Finding]:
    wanted = {"SENTRY_DSN": (read.sentry_dsn, "sentry_sdk")}
    wanted["OTEL_EXPORTER_OTLP_ENDPOINT"] = (read.otel_endpoint, "opentelemetry")
    for name, (value, package) in wanted.items():
        if value and find_spec(package) is None:
            words = f"{name} is set and its package is not installed, so no process starts."
            yield fault("packages", words, "pip install -r requirements-observability.txt -c constraints.txt")


def disk(home: Path) -> Finding:
    """Room under ``COURSEWRIGHT_HOME``."""
    if not home.exists():
        return ok("disk", f"{home} is not used here.")
    free = shutil.disk_usage(home).free
    words = f"{free / 1e9:.1f} GB are free on the disk of {home}."
    mend = "Free some, or set COURSEWRIGHT_HOME to a folder on another disk."
    if free < LEAST_FREE:
        return fault("disk", words, mend)
    return warning("disk", words, mend) if free < LITTLE_FREE else ok("disk", words)


def ports(read: Settings, *, embedded: bool) -> Iterator[Finding]:
    """Who answers on the two ports. ``embedded``: both should be taken by our own processes."""
    for name, variable, port, path in (
        ("web", "PORT", read.port, "/healthz"),
        ("flower", "FLOWER_PORT", read.flower_port, "/healthcheck"),
    ):
        if port:
            yield _port(name, variable, read.host, port, path, embedded=embedded)


def _port(name: str, variable: str, host: str, port: int, path: str, *, embedded: bool) -> Finding:
    url = url_of(host, port)
    if answers(port, reached_at(host)):
        if _is_ours(url + path):
            return ok(f"port {port}", f"{name} answers at {url}.")
        words = f"Something else than {name} answers at {url}."
        return warning(f"port {port}", words, f"End it, or set {variable} to another port.")
    if embedded:
        words = f"{name} does not answer at {url}."
        return fault(f"port {port}", words, f"coursewright up starts it again by itself; its log is logs/{name}.log.")
    try:
        choose_port(host, variable, port, port)
    except StartFailed as error:
        return fault(f"port {port}", f"{name} could not listen: {error}", f"Change HOST or {variable}.")
    return ok(f"port {port}", f"Free: {name} does not run on this machine, and could.")


def _is_ours(url: str) -> bool:
    with urllib3.PoolManager(retries=False, timeout=3) as http:
        try:
            return http.request("GET", url).status == 200
        except HTTPError:
            return False


def processes(home: Path) -> Iterator[Finding]:
    """The processes of a system started with ``coursewright up``."""
    table = home / "run" / "processes.json"
    pids: dict[str, int] = json.loads(table.read_text("utf-8")) if table.exists() else {}
    gone = [name for name, pid in pids.items() if not psutil.pid_exists(pid)]
    if not pids or len(gone) == len(pids):
        words = f"The system of {home} has ended without tidying up."
        yield fault("processes", words, "Start it again with: coursewright up")
    elif gone:
        words = f"Gone: {', '.join(gone)}."
        yield warning("processes", words, f"They are started again by themselves; if not, see {home / 'logs'}.")
    else:
        yield ok("processes", f"They run: {', '.join(sorted(pids))}.")


def model(deps: Deps, *, ask: bool) -> Finding:
    """Whether a model is set up; with ``ask``, whether its endpoint answers a call that costs nothing."""
    wanted = deps.settings.model
    if not wanted.configured:
        return ok("model", "None is configured: packs and arithmetic only.")
    if not ask:
        return ok("model", f"{wanted.text_model} is configured (doctor --model asks whether it can be reached).")
    url = f"{(wanted.base_url or 'https://api.openai.com/v1').rstrip('/')}/models"
    with urllib3.PoolManager(retries=False, timeout=10) as http:
        try:
            answer = http.request("GET", url, headers={"Authorization": f"Bearer {wanted.api_key or 'none'}"})
        except HTTPError as error:
            mend = "Check OPENAI_BASE_URL and the network."
            return fault("model", f"The endpoint can't be reached: {type(error).__name__}.", mend)
    if answer.status in (401, 403):
        return fault("model", f"The endpoint refuses the key ({answer.status}).", "Check OPENAI_API_KEY.")
    if answer.status != 200:
        mend = "Some endpoints have no list of models. Ask for a small course to be sure."
        return warning("model", f"The endpoint answers {answer.status} when asked for its models.", mend)
    if f'"{wanted.text_model}"'.encode() not in answer.data:
        mend = "Check OPENAI_TEXT_MODEL against the vendor's list."
        return warning("model", f"The endpoint does not list {wanted.text_model}.", mend)
    return ok("model", f"The endpoint answers and lists {wanted.text_model}.")

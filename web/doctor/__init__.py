"""``coursewright doctor``: looks at everything a running system needs, and says how to mend what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from tasks.deps import Deps, wire
from tasks.dispatch import QUEUES
from web.doctor import host, people, roles, servers, work
from web.doctor.finding import Finding


def run(environ: Mapping[str, str], home: Path, *, embedded: bool, model: bool, ping: bool, as_json: bool) -> int:
    """Look at everything and print what was found, each line as soon as it is known. Returns the exit code."""
    found = []
    for finding in _all(environ, home, embedded=embedded, model=model, ping=ping):
        found.append(finding)
        if not as_json:
            click.echo(finding.line())
    states = [finding.state for finding in found]
    worst = "fault" if "fault" in states else "warning" if "warning" in states else "ok"
    if as_json:
        click.echo(json.dumps({"state": worst, "checks": [finding.as_json() for finding in found]}))
    else:
        click.echo(f"{len(found)} checks: {states.count('fault')} faults, {states.count('warning')} warnings.")
    return 1 if worst == "fault" else 0


def _all(environ: Mapping[str, str], home: Path, *, embedded: bool, model: bool, ping: bool) -> Iterator[Finding]:
    usable = True
    for finding in host.settings_of(environ):
        usable = usable and (finding.name, finding.state) != ("settings", "fault")
        yield finding
    yield host.disk(home)
    if embedded:
        yield from host.processes(home)
    if usable:  # without the settings nothing else can be asked
        yield from examine(wire("doctor", ping=True, pool_size=2), embedded=embedded, model=model, ping=ping)


def examine(deps: Deps, *, embedded: bool, model: bool, ping: bool) -> Iterator[Finding]:
    """Everything that can be asked once the settings are known."""
    yield from servers.postgres(deps)
    yield from roles.roles(deps.settings)
    yield from servers.broker(deps, [*QUEUES, "control"])
    yield from servers.store(deps)
    yield from servers.mail(deps)
    yield people.user_tokens(deps)
    yield host.model(deps, ask=model)
    if ping:
        yield from work.workers()
    yield from work.movement(deps)
    yield from host.ports(deps.settings, embedded=embedded)

"""``coursewright up``: the whole system on this machine, until it is asked to stop."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import click

from schema.errors import CoursewrightError
from schema.settings import DEMO_ORGANIZATION_ID
from schema.settings import settings as process_settings
from storage import organizations
from storage.embedded import make_home
from storage.organizations import Organization
from storage.postgres.schema_version import upgrade
from storage.processes import StartFailed
from tasks import deps as wiring
from tasks.deps import Deps
from web.address import url_of
from web.pages.entrance import make_login_path
from web.supervisor import Supervisor
from web.system_processes import Plan, app_processes, plan_servers

#: Three servers' fresh data take about 150 MB; below this a start would only half succeed.
LEAST_FREE_BYTES = 500_000_000


@dataclass(frozen=True)
class Address:
    """Where the system is reached once it is up."""

    url: str
    flower_url: str
    login_url: str = field(repr=False)


def run(home: Path, *, as_json: bool) -> int:
    """Bring everything up, say where it is, and keep it up. Returns the exit code."""
    began = time.monotonic()
    try:
        _check_room(home)
        with Supervisor(home) as supervisor:
            try:
                address = _start(home, supervisor)
                if not supervisor.stopping and address is not None:
                    _say(address, supervisor, began, as_json)
                    supervisor.watch()
            finally:
                _kept_environment(home).unlink(missing_ok=True)
    except StartFailed as error:
        click.echo(f"coursewright: {error}", err=True)
        return 2
    except CoursewrightError as error:
        click.echo(f"coursewright: {error.message}", err=True)
        return 2
    except OSError as error:
        click.echo(
            f"coursewright: {home} can't be used: {error.strerror or error}. Check it, or set COURSEWRIGHT_HOME.",
            err=True,
        )
        return 2
    return 0


def _check_room(home: Path) -> None:
    make_home(home)
    free = shutil.disk_usage(home).free
    if free < LEAST_FREE_BYTES:
        raise StartFailed(
            f"Only {free // 1_000_000} MB are free on the disk of {home}; 500 MB are needed. "
            "Free some, or set COURSEWRIGHT_HOME to a folder on another disk."
        )


def _start(home: Path, supervisor: Supervisor) -> Address | None:
    plan = plan_servers(home, os.environ)
    supervisor.start(plan.servers)
    if supervisor.stopping:
        return None
    os.environ.update(plan.environment)
    process_settings.cache_clear()
    wired = wiring.wire("up", ping=True, pool_size=2)
    upgrade(wired.db.engine)
    wired.objects.ensure_buckets()
    organizations.ensure(wired.db, Organization(UUID(DEMO_ORGANIZATION_ID), "demo-school", "Demo school"))
    _keep_environment(home, plan)
    supervisor.start(app_processes(home, plan.environment))
    return _address(wired, plan)


def _kept_environment(home: Path) -> Path:
    return home / "run" / "environment.json"


def _keep_environment(home: Path, plan: Plan) -> None:
    """So that other commands on this machine reach the running system. It holds secrets: for the owner alone."""
    with os.fdopen(os.open(_kept_environment(home), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(plan.environment, file)


def _address(wired: Deps, plan: Plan) -> Address:
    url = url_of(plan.host, plan.port)
    login = make_login_path(wired, DEMO_ORGANIZATION_ID, "admin")
    return Address(url, url_of(plan.host, plan.flower_port), url + login)


def _say(address: Address, supervisor: Supervisor, began: float, as_json: bool) -> None:
    if as_json:
        ready = {
            "url": address.url,
            "flowerUrl": address.flower_url,
            "loginUrl": address.login_url,
            "organizationId": DEMO_ORGANIZATION_ID,
            "pid": os.getpid(),
            "processes": supervisor.pids(),
        }
        click.echo(json.dumps(ready))
    else:
        user, _, password = os.environ.get("FLOWER_BASIC_AUTH", "").partition(":")
        click.echo(
            f"Coursewright is up after {time.monotonic() - began:.1f} s.\n"
            f"  Web     {address.url}   (API at {address.url}/docs)\n"
            f"  Sign in {address.login_url}   (once, within 15 minutes)\n"
            f"  Flower  {address.flower_url}   (user {user}, password {password})\n"
            f"  Logs    {supervisor.home / 'logs'}\n"
            "Ctrl-C stops everything."
        )
    sys.stdout.flush()

"""What every command needs: the home folder, the system to speak to, an organization, and the way to give up."""

from __future__ import annotations

import json
import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from uuid import UUID

import click

from schema.audit import By, Deed
from schema.errors import SettingsError
from schema.settings import DEMO_ORGANIZATION_ID

if TYPE_CHECKING:
    from tasks.commands import Asker
    from tasks.deps import Deps


def home() -> Path:
    return Path(os.environ.get("COURSEWRIGHT_HOME") or ".coursewright").absolute()


def give_up(message: str) -> NoReturn:
    """End with code 2: the command was used wrongly, or the configuration is wrong."""
    click.echo(f"coursewright: {message}", err=True)
    sys.exit(2)


def find_system() -> bool:
    """Fill the environment in from the system running under the home folder, unless it says itself where everything
    is. Returns whether it was filled in."""
    kept = home() / "run" / "environment.json"
    if os.environ.get("DATABASE_URL", "").strip():
        return False
    if not kept.exists():
        give_up(
            f"Nothing is running from {home()}. Start it with: coursewright up "
            "(or set DATABASE_URL and the others, see README)."
        )
    for name, value in json.loads(kept.read_text("utf-8")).items():
        # Who asked for any free port (0) gets the one that was found.
        if os.environ.get(name, "").strip() in ({"", "0"} if name.endswith("PORT") else {""}):
            os.environ[name] = value
    return True


def wired(name: str = "cli") -> Deps:
    """The deps of a command: from the environment, or from the system running under the home folder. ``name`` says for
    what (``storage.postgres.connecting``)."""
    from storage import audit
    from tasks.deps import wire

    find_system()
    audit.enter(By("command", _user()))
    try:
        return wire(name, ping=True, pool_size=2)
    except SettingsError as error:
        give_up(f"{error.message} Or start everything on this machine with: coursewright up")


def note(deps: Deps, organization_id: UUID | None, action: str, target: str | None = None, **details: str) -> None:
    """Write down what a command did that no use case notes."""
    from storage import audit

    audit.note_alone(deps.db, Deed(organization_id, action, action.partition(".")[0], target, details))


def _user() -> str:
    """Who gives commands, as the operating system knows them."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container nobody need have given the number a name
        return str(os.getuid())


def organization_id_of(given: str) -> UUID:
    try:
        return UUID(given)
    except ValueError:
        give_up(f"{given!r} is not an organization id.")


def asker(deps: Deps, organization: str | None) -> Asker:
    """On behalf of the organization that is named; without a name, of the demo school where there is one."""
    from storage import organizations
    from tasks.commands import Asker

    organization_id = organization_id_of(organization or DEMO_ORGANIZATION_ID)
    if organizations.read(deps.db, organization_id) is None:
        missing = "There is no such organization." if organization else "Say whose with --organization ID."
        give_up(f"{missing} The ids of all are shown by: coursewright org list")
    return Asker(organization_id, None)


def asker_of(deps: Deps, organization: str | None, job_id: UUID) -> Asker:
    """On behalf of the organization that is named; without a name, of the one that has the job. Whoever gives commands
    on this machine may see every job, and an alarm names no organization."""
    from storage import organizations
    from tasks.commands import Asker

    if organization:
        return asker(deps, organization)
    owner = organizations.of_job(deps.db, job_id)
    if owner is None:
        give_up("There is no such job.")
    return Asker(owner, None)


def askers(deps: Deps, organization: str | None, everyone: bool) -> list[Asker]:
    """One for each organization that is meant."""
    from storage import organizations
    from tasks.commands import Asker

    if everyone and organization:
        raise click.UsageError("Say either --organization or --all-organizations.")
    if everyone:
        return [Asker(one.id, None) for one in organizations.everyone(deps.db)]
    return [asker(deps, organization)]


organization_option = click.option(
    "--organization", metavar="ID", help="Whose; unless given the demo school, where there is one."
)
of_job_option = click.option(
    "--organization", metavar="ID", help="Only if it is a job of this one; unless given, whosever it is."
)
everyone_option = click.option(
    "--all-organizations", "everyone", is_flag=True, help="Of all organizations; each line begins with whose it is."
)

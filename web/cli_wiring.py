"""What every command needs: the home folder, the system to speak to, an organization, and the way to give up."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from uuid import UUID

import click

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
        if not os.environ.get(name, "").strip():
            os.environ[name] = value
    return True


def wired() -> Deps:
    """The deps of a command: from the environment, or from the system running under the home folder."""
    from tasks.deps import wire

    find_system()
    try:
        return wire("cli", ping=True, pool_size=2)
    except SettingsError as error:
        give_up(f"{error.message} Or start everything on this machine with: coursewright up")


def asker(organization: str) -> Asker:
    from tasks.commands import Asker

    try:
        return Asker(UUID(organization), None)
    except ValueError:
        give_up(f"{organization!r} is not an organization id.")


organization_option = click.option(
    "--organization", default=DEMO_ORGANIZATION_ID, show_default=True, help="Whose: the id of an organization."
)

"""``coursewright audit``: who did what, from the command line, for whoever runs the system."""

from __future__ import annotations

import json
from typing import Any

import click

from schema.audit import ACTIONS
from web.cli.wiring import asker, organization_option, wired


@click.command()
@organization_option
@click.option("--strangers", is_flag=True, help="What belongs to no organization: refusals of people nobody knows.")
@click.option("--action", type=click.Choice(list(ACTIONS)), metavar="ACTION", help="Only this, job.cancelled say.")
@click.option("--actor", help="Only what this user, or the token of this name, did.")
@click.option("--target", help="Only what was done to the thing with this id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def audit(
    organization: str | None,
    strangers: bool,
    action: str | None,
    actor: str | None,
    target: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Who did what to what, from where; the newest first."""
    from storage import audit as rows
    from storage.audit import Filters

    if strangers and organization:
        raise click.UsageError("Say either --organization or --strangers.")
    deps = wired()
    whose = None if strangers else asker(deps, organization).organization_id
    found = rows.newest(deps.db, whose, Filters(actor, action, target), None, limit)
    for entry in found:
        del entry["_position"]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for entry in found:
        click.echo(_line(entry))


def _line(entry: dict[str, Any]) -> str:
    who = f"{entry['way']} {entry['actor'] or ''}".strip()
    what = " ".join(filter(None, (entry["action"], entry["targetKind"], entry["targetId"])))
    where = f" from {entry['address']}" if entry["address"] else ""
    details = f"  {json.dumps(entry['details'], ensure_ascii=False)}" if entry["details"] else ""
    # What a stranger sent must not steer the terminal it is shown on.
    return "".join(sign if sign.isprintable() else "?" for sign in f"{entry['at']}  {what}  by {who}{where}{details}")

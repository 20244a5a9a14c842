"""``coursewright tokens ...`` and ``coursewright members ...``: who may act for an organization."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import click

from schema.access import ROLES, SCOPES
from schema.clock import utc_now
from web.cli.wiring import asker, give_up, organization_option, wired

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _print(found: Any) -> None:
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


# --- tokens of programs -----------------------------------------------------------------------------------------


@click.group()
def tokens() -> None:
    """An organization's own agent tokens."""


@tokens.command("make")
@click.argument("name")
@organization_option
@click.option("--role", type=click.Choice(ROLES), default="author", show_default=True)
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="All of the role unless given.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good; for ever unless given.")
@json_option
def tokens_make(
    name: str, organization: str | None, role: str, scopes: tuple[str, ...], days: int | None, as_json: bool
) -> None:
    """Make a token and print it. It is told only now."""
    from schema.agent_token import NewTokenSchema
    from schema.fields import load
    from tasks.tokens import make

    deps = wired()
    given = {"name": name, "role": role, "scopes": list(dict.fromkeys(scopes)) or None}
    loaded = load(NewTokenSchema(), given)
    loaded["expiresAt"] = utc_now() + timedelta(days=days) if days else None
    made = make(deps, asker(deps, organization), loaded)
    if as_json:
        _print(made)
        return
    click.echo(made["token"])
    click.echo("Keep it: it is not shown again. Send it as X-Agent-Token, with X-Organization-Id.", err=True)


@tokens.command("list")
@organization_option
@json_option
def tokens_list(organization: str | None, as_json: bool) -> None:
    """The newest 200 tokens, without their secrets."""
    from storage.people import agent_tokens

    deps = wired()
    found = agent_tokens.newest(deps.db, asker(deps, organization).organization_id, None, 200)
    for one in found:
        del one["_position"]
    if as_json:
        _print(found)
        return
    for one in found:
        state = f"revoked {one['revokedAt']}" if one["revokedAt"] else f"until {one['expiresAt'] or 'revoked'}"
        scopes = ",".join(one["scopes"]) if one["scopes"] else "all"
        used = one["lastUsedAt"] or "never"
        click.echo(
            f"{one['tokenId']}  cw_{one['prefix']}_  {one['role']}  {scopes}  used {used}  {state}  {one['name']}"
        )
    if not found:
        click.echo("There is none yet. Make one with: coursewright tokens make NAME", err=True)


@tokens.command("revoke")
@click.argument("token")
@organization_option
def tokens_revoke(token: str, organization: str | None) -> None:
    """Revoke a token, named by its id or by its eight characters."""
    from storage.people import agent_tokens
    from tasks.tokens import revoke

    deps = wired()
    whose = asker(deps, organization)
    wanted = token.removeprefix("cw_").strip("_").lower()
    known = agent_tokens.newest(deps.db, whose.organization_id, None, 100_000)
    ids = [one["tokenId"] for one in known if wanted in (one["tokenId"], one["prefix"])]
    if not ids:
        give_up("There is no such token. Their ids are shown by: coursewright tokens list")
    revoke(deps, whose, UUID(ids[0]))
    click.echo("Revoked. It opens nothing any more; streams it opened end within a minute.")


# --- members ----------------------------------------------------------------------------------------------------


@click.group()
def members() -> None:
    """Which users belong to an organization. A user's id is the sub of their tokens."""


@members.command("list")
@organization_option
@json_option
def members_list(organization: str | None, as_json: bool) -> None:
    """All members."""
    from storage.people import memberships

    deps = wired()
    found = memberships.page(deps.db, asker(deps, organization).organization_id, "", 100_000)
    if as_json:
        _print(found)
        return
    for one in found:
        click.echo("  ".join([one["userId"], one["role"], one["name"] or "", one["email"] or ""]).rstrip())
    if not found:
        click.echo("There is none yet. Add one with: coursewright members add USER --role admin", err=True)


@members.command("add")
@click.argument("user")
@organization_option
@click.option("--role", type=click.Choice(ROLES), default="author", show_default=True)
@click.option("--name")
@click.option("--email")
def members_add(user: str, organization: str | None, role: str, name: str | None, email: str | None) -> None:
    """Take a user in."""
    from schema.fields import load
    from schema.member import NewMemberSchema
    from tasks.members import add

    deps = wired()
    given = load(NewMemberSchema(), {"userId": user, "role": role, "name": name, "email": email})
    add(deps, asker(deps, organization), given)
    click.echo(f"{user} is a member now, as {role}.")


@members.command("change")
@click.argument("user")
@organization_option
@click.option("--role", type=click.Choice(ROLES), required=True)
def members_change(user: str, organization: str | None, role: str) -> None:
    """Give a member another role, also the last admin."""
    from tasks.members import change

    deps = wired()
    change(deps, asker(deps, organization), user, {"role": role}, may_empty=True)
    click.echo(f"{user} is {role} now.")


@members.command("remove")
@click.argument("user")
@organization_option
def members_remove(user: str, organization: str | None) -> None:
    """Take a member out, also the last admin."""
    from tasks.members import remove

    deps = wired()
    remove(deps, asker(deps, organization), user, may_empty=True)
    click.echo(f"{user} is out. Streams they have open end within a minute.")

"""Whether those who have streams open still may: what their access rests on is looked at again and again."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from schema.access import allows, reaches
from storage import wall
from storage.people import grounds as rows
from storage.people import privacy
from web.identity.agents import marks
from web.identity.standing import Standing, judge
from web.streams.connection import Held
from web.streams.feeds import CATALOGS
from web.wiring import deps


def fallen(held: Iterable[Held]) -> set[Held]:
    """Of these streams those that have to end. Their grounds don't hold any more: a session that ended, a token that
    was revoked, a membership that was cancelled. Or they show something private to who is a viewer now. One statement
    for all grounds, whichever organizations they are of, and one for the viewers of each. Raises ``Unavailable``."""
    followed, wired = set(held), deps()
    asked = list({one.grounds for one in followed})
    with wall.within(None):
        found = rows.facts(wired.db, asked)
    good = marks(wired)
    standings = {one: judge(one, facts, good) for one, facts in zip(asked, found, strict=True)}
    out = {one for one in followed if not _may_follow(one, standings[one.grounds])}
    return out | _hidden({one for one in followed - out if not _sees_private(one, standings[one.grounds])})


def _may_follow(one: Held, standing: Standing | None) -> bool:
    """Whether somebody stands at all; and for a catalog, whether they may still read catalogs. A job's stream is also
    for who was given its address with a job they started by another scope."""
    if standing is None:
        return False
    return one.key[0] not in CATALOGS or allows(standing.scopes, "catalog", writing=False)


def _sees_private(one: Held, standing: Standing | None) -> bool:
    """Whether private courses are shown. What a user's token claimed can't be asked for again: it stays as it was."""
    if one.grounds.claimed:
        return one.private
    return standing is not None and reaches(standing.role, "author")


def _hidden(of_viewers: set[Held]) -> set[Held]:
    """Of these streams, which viewers have, those that show something private."""
    jobs: dict[UUID, set[UUID]] = {}
    for one in of_viewers:
        if one.key[0] == "job":
            jobs.setdefault(one.grounds.organization_id, set()).add(one.key[1])
    hidden: set[UUID] = set()
    for organization_id, ids in jobs.items():
        with wall.within(organization_id):
            hidden |= privacy.hidden_jobs(deps().db, organization_id, ids)
    return {one for one in of_viewers if one.key[0] == CATALOGS[0] or one.key[1] in hidden}

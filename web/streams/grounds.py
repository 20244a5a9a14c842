"""Whether those who have streams open still may: what their access rests on is looked at again and again."""

from __future__ import annotations

from collections.abc import Iterable

from storage import grounds as rows
from storage import wall
from storage.grounds import Grounds
from web.identity.agents import marks
from web.identity.standing import judge
from web.wiring import deps


def fallen(held: Iterable[Grounds]) -> set[Grounds]:
    """Of these grounds those that don't hold any more: a session that ended, a token that was revoked, a membership
    that was cancelled. One statement for all of them, whichever organizations they are of. Raises ``Unavailable``."""
    asked, wired = list(held), deps()
    with wall.within(None):
        found = rows.facts(wired.db, asked)
    good = marks(wired)
    return {one for one, facts in zip(asked, found, strict=True) if judge(one, facts, good) is None}

"""Who asks, for which organization, in which role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast
from uuid import UUID

from flask import g

from schema.access import Role, reaches
from storage.people.grounds import Grounds
from tasks.commands import Asker

#: ``agent``: the environment's agent token. ``token``: one of the organization's own. ``user``: a user's JWT.
#: ``cookie``: a browser's session. ``stream``: a token for the stream of one job.
Way = Literal["agent", "token", "user", "cookie", "stream"]


@dataclass(frozen=True)
class Identity:
    """``user`` is any id kept for audit; it need not be known here. ``scopes`` none: all that the role may.
    ``credential`` names the row of the token or the session, never a secret; ``session`` is that of a cookie.
    ``grounds`` are what all this rests on, and ``expires_at`` when it ends at the latest."""

    organization_id: UUID
    organization_slug: str
    role: Role
    user: str | None
    way: Way
    grounds: Grounds
    scopes: frozenset[str] | None = None
    credential: str | None = None
    expires_at: datetime | None = None
    session: UUID | None = None

    @property
    def asker(self) -> Asker:
        # A person is rationed; a program is not, nor is who runs the place.
        is_program = self.way in ("agent", "token")
        return Asker(self.organization_id, self.user, rationed=not is_program and self.role != "admin")

    @property
    def sees_private(self) -> bool:
        """Whether private courses are shown. Whoever has a stream's token was given it by somebody who saw the job, and
        who must still; a role that a user's token claimed can't be asked for again."""
        return reaches(self.role, "author") or (self.way == "stream" and self.grounds.claimed)


def who() -> Identity:
    """The identity of this request. Only for views behind a role."""
    return cast(Identity, g.identity)

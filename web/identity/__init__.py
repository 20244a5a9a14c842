"""Who asks, for which organization, in which role; and what each blueprint needs of them.

``agents``, ``users``, ``cookies`` and ``stream`` are the ways in, ``gate`` asks them at each request, ``standing``
judges whether what somebody's access rests on still holds, and ``watch`` has open streams end when it doesn't."""

from __future__ import annotations

from schema.access import Role
from web.identity.cookies import SECURE_COOKIE, SESSION_COOKIE
from web.identity.gate import maybe, register
from web.identity.identity import Identity, Way, who
from web.identity.need import PUBLIC, Need, need_of, needs

__all__ = [
    "PUBLIC",
    "SECURE_COOKIE",
    "SESSION_COOKIE",
    "Identity",
    "Need",
    "Role",
    "Way",
    "maybe",
    "need_of",
    "needs",
    "register",
    "who",
]

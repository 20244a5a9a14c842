"""Who may open one more stream: each identity has so many, over all processes; and streams that anybody may open take
at most half of a process, so that there is room for those that are somebody's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flask import g

from schema.clock import new_id
from schema.errors import TooMany, Unavailable
from storage.shares.seats import Seats
from web.guarding.proxies import caller
from web.guarding.rates import PROGRAMS
from web.identity import Identity

#: When one of somebody's streams may have ended, in seconds.
_COME_BACK = 10.0


@dataclass(frozen=True)
class Guest:
    """Who has a stream, and under which name. ``most`` is how many of them there may be. ``public``: it is anybody's,
    who is told apart by the address alone."""

    holder: str
    seat: str
    most: int
    public: bool = False


def guest_of_this_request(per_identity: int) -> Guest:
    """Who asks for a stream now. A program, and whoever was given the address of a stream, may have ten times as many
    as a person."""
    identity: Identity | None = g.get("identity")
    seat = str(new_id())
    if identity is None:
        return Guest(f"address:{caller()}", seat, per_identity, public=True)
    whose, credential = identity.organization_id, identity.credential or ""
    if identity.way == "stream":
        return Guest(f"token:{whose}:{caller()}", seat, per_identity * PROGRAMS)
    if identity.way in {"agent", "token"}:
        return Guest(f"program:{whose}:{credential}", seat, per_identity * PROGRAMS)
    return Guest(f"person:{whose}:{identity.user or credential}", seat, per_identity)


def check_room(guest: Guest, others: Iterable[Guest | None], limit: int, seats: Seats) -> None:
    """Take a seat for a guest beside the ``others`` of this process, of whom there may be ``limit``.

    Raises ``TooMany`` (``too_many_streams``) when the guest has enough, and ``Unavailable`` with the same code when the
    process has. While Redis is away a guest has so many in each process."""
    here = [one for one in others if one is not None]
    if guest.public and sum(one.public for one in here) >= max(1, limit // 2):
        words = "This server has as many streams open for the public as it may. Connect again in a moment."
        raise Unavailable(words, code="too_many_streams")
    may_have = seats.take(guest.holder, guest.seat, guest.most)
    if may_have is None:
        may_have = sum(one.holder == guest.holder for one in here) < guest.most
    if not may_have:
        words = f"You have {guest.most} streams open, and may have no more. Close one, or ask for events instead."
        raise TooMany(words, code="too_many_streams", retry_after=_COME_BACK)

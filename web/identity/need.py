"""What a blueprint needs of whoever asks. Every blueprint says it; nothing is open by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import Blueprint, Flask

from schema.access import Noun, Role


@dataclass(frozen=True)
class Need:
    """What a blueprint needs: a role for reading and one for writing, or nothing at all (``public``). ``by_token``: a
    view may also be read by whoever has a token for what it shows, in the address (``web.streams.token``). ``scope`` is
    the noun of the scopes that a limited token must have; none: no scope is asked for."""

    read: Role | None
    write: Role | None
    public: bool = False
    by_token: bool = False
    scope: Noun | None = None


PUBLIC = Need(None, None, public=True)


def needs(blueprint: Blueprint, need: Need) -> Blueprint:
    """Declare what every view of this blueprint needs. A blueprint without a declaration is refused at start."""
    blueprint.need = need  # type: ignore[attr-defined]
    return blueprint


def need_of(app: Flask, blueprint: str) -> Need:
    """The declaration of a blueprint. Raises ``LookupError`` when it has none."""
    need = getattr(app.blueprints[blueprint], "need", None)
    if need is None:
        raise LookupError(f"The blueprint {blueprint!r} doesn't declare what it needs.")
    return cast(Need, need)

"""The deps of a web process: the same as everywhere, with connections that are tried before they are used, and that see
nothing but what belongs to the organization of the request (``storage.wall``)."""

from __future__ import annotations

import structlog

from schema.errors import SettingsError, Unavailable
from storage.health import reason
from tasks.deps import Deps, wire

log = structlog.get_logger(__name__)


def deps() -> Deps:
    """What views work with."""
    return wire("web", ping=True)


def check_role() -> None:
    """Raise ``SettingsError`` when nothing would keep one organization from another's rows.

    While the database is away nobody can tell; each connection is looked at again when it is made."""
    db = deps().db
    try:
        with db.statement() as tx:
            tx.run("SELECT 1")
    except Unavailable as error:
        if error.code == "database_role":
            raise SettingsError(error.message) from None
        log.warning("role_not_checked", reason=reason(error))
    finally:
        db.dispose()  # what serves is forked from this process, and may not share its connections

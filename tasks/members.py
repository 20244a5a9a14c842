"""The use cases of members: taking somebody in, giving them another role, taking them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from schema.access import SCOPES, within
from schema.audit import Deed
from schema.errors import Conflict, Forbidden, NotFound
from storage import audit
from storage.db import Transaction
from storage.people import memberships, sessions
from tasks.commands import Asker
from tasks.deps import Deps

log = structlog.get_logger(__name__)


#: Whoever asks may be limited to scopes; none: they may do all that their role does.
Held = frozenset[str] | None


def add(deps: Deps, asker: Asker, given: Mapping[str, Any], held: Held = None) -> dict[str, Any]:
    """Take somebody in, as ``NewMemberSchema`` loaded them. Returns the member as shown. Raises ``Conflict``
    (``already_member``) and ``Forbidden`` (``scope_missing``)."""
    _check_role(given, held)
    with deps.db.transaction() as tx:
        memberships.lock(tx, asker.organization_id)
        made = memberships.add(tx, asker.organization_id, given, asker.user)
        if made is None:
            words = "This user is a member already. Change the membership instead."
            raise Conflict(words, code="already_member")
        _note(tx, asker, "member.added", given["userId"], role=given["role"])
    log.info("member_added", organization=str(asker.organization_id), by=asker.user)
    return made


def change(
    deps: Deps,
    asker: Asker,
    user_id: str,
    changes: Mapping[str, Any],
    held: Held = None,
    *,
    may_empty: bool = False,
) -> dict[str, Any]:
    """Change what is given. Returns the member as shown. Raises ``NotFound``, ``Forbidden`` (``scope_missing``), and
    ``Conflict`` (``last_admin``) when nobody else would be an admin, unless that may be (``may_empty``)."""
    _check_role(changes, held)
    with deps.db.transaction() as tx:
        memberships.lock(tx, asker.organization_id)
        if changes.get("role", "admin") != "admin" and not may_empty:
            _check_last(tx, asker, user_id)
        changed = memberships.change(tx, asker.organization_id, user_id, changes)
        if changed is None:
            raise no_such_member()
        _note(tx, asker, "member.changed", user_id, changed=sorted(changes), role=changes.get("role"))
    return changed


def remove(deps: Deps, asker: Asker, user_id: str, *, may_empty: bool = False) -> None:
    """Take somebody out. It holds from their next request on, whatever their token claims; open streams end within a
    minute. Their sessions end for good, also for when they are taken in again. Raises as ``change`` does."""
    with deps.db.transaction() as tx:
        memberships.lock(tx, asker.organization_id)
        if not may_empty:
            _check_last(tx, asker, user_id)
        if not memberships.end(tx, asker.organization_id, user_id):
            raise no_such_member()
        # After the membership: a session that is begun at this moment has waited for it, or is seen here.
        ended = sessions.end_of_user(tx, asker.organization_id, user_id)
        _note(tx, asker, "member.removed", user_id, sessions=ended)
    log.info("member_removed", organization=str(asker.organization_id), by=asker.user)


def _check_role(given: Mapping[str, Any], held: Held) -> None:
    """An admin may do everything, so only who may do everything makes one."""
    if given.get("role") == "admin" and not within(SCOPES, held):
        words = "Your own token is limited to some scopes, so it can make nobody an admin. Give another role."
        raise Forbidden(words, code="scope_missing")


def _check_last(tx: Transaction, asker: Asker, user_id: str) -> None:
    if memberships.is_last_admin(tx, asker.organization_id, user_id):
        words = "This is the only admin among the members. Make somebody else an admin first."
        raise Conflict(words, code="last_admin")


def _note(tx: Transaction, asker: Asker, action: str, user_id: str, **details: Any) -> None:
    audit.note(tx, Deed(asker.organization_id, action, "member", user_id, details))


def no_such_member() -> NotFound:
    """The answer to somebody who doesn't belong to the organization."""
    return NotFound("There is no such member.")

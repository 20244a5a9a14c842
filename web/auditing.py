"""The web's side of the audit log: what each route that changes something is noted as, and what was refused.

A view says beside its route what it does (``audited``) or why there is nothing to note (``unaudited``). The use case
notes the deed in its transaction. What has none is noted here, right after the view has answered; a deed that failed
leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from uuid import UUID

import structlog
from flask import Flask, Response, current_app, g, request

from schema.audit import ACTIONS, By, Deed
from schema.errors import Unavailable
from storage import audit, organizations, wall
from web.identity import Identity
from web.refusals import Refusals
from web.wiring import deps

log = structlog.get_logger(__name__)
#: A proxy may write anything in the place of an address.
_LONGEST = 64
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Audit:
    """What a view may be noted as, and the argument of its address that names the target. Without actions ``why`` says
    why there is nothing to note."""

    actions: tuple[str, ...] = ()
    kind: str | None = None
    argument: str | None = None
    why: str = ""


def audited(*actions: str, target: str | None = None, argument: str | None = None) -> Callable[[View], View]:
    """Declare the action of a view, or those of which each call is one. ``target`` is the kind of thing it is done to,
    ``argument`` what names it in the address, unless it is the kind with ``_id``."""
    if unknown := set(actions) - ACTIONS.keys():
        raise ValueError(f"Not on the list of actions: {', '.join(sorted(unknown))}.")
    return _declare(Audit(actions, target, argument or (f"{target}_id" if target else None)))


def unaudited(why: str) -> Callable[[View], View]:
    """Declare that a view which takes a write's method changes nothing."""
    return _declare(Audit(why=why))


def _declare(declared: Audit) -> Callable[[View], View]:
    def attach(view: View) -> View:
        view.audit = declared  # type: ignore[attr-defined]
        return view

    return attach


def audit_of(app: Flask, endpoint: str) -> Audit | None:
    """The declaration of a view."""
    return cast("Audit | None", getattr(app.view_functions[endpoint], "audit", None))


def tell(**details: Any) -> None:
    """More about the deed of this request, for one that is noted after its view. Names and small values only."""
    g.audit_details = {**g.get("audit_details", {}), **details}


def register(app: Flask) -> None:
    """Say for each request who is at work, and note what it did or was refused. After ``identity.register``."""
    refusals = Refusals(_write)

    @app.before_request
    def _begin() -> None:
        g.audit_page = audit.enter(by_of(g.get("identity")))

    @app.after_request
    def _end(response: Response) -> Response:
        if response.status_code in (401, 403) or "guesses" in g:
            if (deed := _refusal(response.status_code)) is not None:
                refusals.meet(deed)
        elif response.status_code < 400 and request.method != "OPTIONS":  # it is answered for the view, which isn't run
            _note_deed()
        return response

    @app.teardown_request
    def _leave(_error: BaseException | None) -> None:
        audit.leave()


def by_of(identity: Identity | None) -> By:
    """Who asks, from where."""
    address, request_id = (request.remote_addr or "")[:_LONGEST] or None, g.get("request_id")
    if identity is None:
        return By("unknown", address=address, request_id=request_id)
    actor = identity.user or identity.credential
    credential = identity.credential if actor != identity.credential else None
    return By(identity.way, actor, identity.role, address, request_id, credential)


def _note_deed() -> None:
    """What a view did that no transaction has noted. The deed stands: a database that is away now is only told of."""
    declared = audit_of(current_app, request.endpoint) if request.endpoint else None
    identity: Identity | None = g.get("identity")
    if declared is None or not declared.actions or identity is None:
        return
    page: audit.Page | None = g.get("audit_page")
    if page is not None and page.noted:
        return
    target = (request.view_args or {}).get(declared.argument) if declared.argument else None
    details = g.get("audit_details", {})
    _write(Deed(identity.organization_id, declared.actions[0], declared.kind, target, details, by_of(identity)))


def _refusal(status: int) -> Deed | None:
    """A request that was refused, as it is noted; none for somebody who showed nothing that could be refused."""
    identity: Identity | None = g.get("identity") or g.get("in_whose_name")
    code = g.get("problem_code", "")
    if status == 401 and not _shown_credentials():
        return None
    is_login = status == 401 or code in _OF_LOGINS or "guesses" in g
    action = "login.refused" if is_login else "access.refused"
    rule = request.url_rule.rule if request.url_rule is not None else None
    details = {"code": code, "method": request.method, "rule": rule}
    organization_id = identity.organization_id if identity else None
    if identity is None and "guesses" not in g:  # of a flood nobody looks up where it wants in
        organization_id = _named_organization()
    return Deed(organization_id, action, details=details, by=by_of(identity))


#: Refusals with 403 of somebody who wants to be let in.
_OF_LOGINS = {"login_link_spent"}


def _shown_credentials() -> bool:
    """Whether something was shown that could be wrong. A browser whose session has ended goes on asking; that is not
    somebody who tries the door."""
    if request.blueprint == "entrance" and "token" in request.form:
        return True
    return "Authorization" in request.headers or "X-Agent-Token" in request.headers or "token" in request.args


def _named_organization() -> UUID | None:
    """The organization a stranger named, when there is one."""
    try:
        named = UUID(request.headers.get("X-Organization-Id", "").strip())
        with wall.within(named):
            return named if organizations.read(deps().db, named) is not None else None
    except (ValueError, Unavailable):
        return None


def _write(deed: Deed) -> None:
    try:
        with wall.within(deed.organization_id):
            audit.note_alone(deps().db, deed)
    except Unavailable as error:
        who = deed.by or audit.by()
        log.error(
            "deed_not_noted",
            reason=error.code,
            action=deed.action,
            organization=str(deed.organization_id),
            actor=who.actor,
            target=deed.target_id,
        )

"""The use cases of webhooks: making and changing them, trying them out, and delivering something once more."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog

from schema.audit import Deed
from schema.clock import new_id
from schema.errors import Conflict, FieldError, Invalid, NotFound
from schema.targets import read_url
from schema.webhook import MOST_WEBHOOKS, TEST_EVENT, secret_of
from storage import audit
from storage.db import Transaction
from storage.notices import deliveries, webhooks
from storage.notices.webhooks import NewWebhook
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.notices.post import Refused, Resolver, addresses_of, look_up

log = structlog.get_logger(__name__)


def make(deps: Deps, asker: Asker, given: Mapping[str, Any], resolve: Resolver = look_up) -> dict[str, Any]:
    """Make a webhook of what ``NewWebhookSchema`` loaded. Returns it as shown, with its secret, which nobody is told
    again. Raises ``Invalid`` (``private_address``), and ``Conflict`` (``limit_reached``)."""
    _check_target(deps, given["url"], resolve)
    secret = _new_secret()
    new = NewWebhook(
        webhook_id=new_id(),
        organization_id=asker.organization_id,
        url=given["url"],
        events=given["events"],
        description=given["description"],
        paused=given["paused"],
        secret=secret,
        created_by=asker.user,
    )
    with deps.db.transaction() as tx:
        made = webhooks.insert(tx, new, MOST_WEBHOOKS)
        if made is None:
            words = f"An organization may have {MOST_WEBHOOKS} webhooks. Remove one first."
            raise Conflict(words, code="limit_reached", details={"limit": MOST_WEBHOOKS})
        _note(tx, asker, "webhook.made", new.webhook_id)
    log.info("webhook_made", webhook=made["webhookId"], by=asker.user)
    return {**made, "secret": secret}


def _new_secret() -> str:
    return secret_of(secrets.token_bytes(32))


def _check_target(deps: Deps, url: str, resolve: Resolver) -> None:
    """Refuse a URL nothing may be sent to. A name that has no address yet may get one, and is looked up again each time
    something is sent."""
    try:
        addresses_of(read_url(url), deps.settings.notices.private_targets, resolve)
    except Refused as error:
        raise Invalid([FieldError("url", "private_address", error.message)]) from None
    except OSError:
        return
    except UnicodeError:
        raise Invalid([FieldError("url", "invalid_value", "Not a URL: its host is malformed.")]) from None


def change(
    deps: Deps, asker: Asker, webhook_id: UUID, changes: Mapping[str, Any], resolve: Resolver = look_up
) -> dict[str, Any]:
    """Change what is given. Returns the webhook as shown. Raises ``NotFound``, ``Invalid`` (``private_address``)."""
    if "url" in changes:
        _check_target(deps, changes["url"], resolve)
    with deps.db.transaction() as tx:
        changed = _found(webhooks.change(tx, asker.organization_id, webhook_id, changes))
        _note(tx, asker, "webhook.changed", webhook_id, changed=sorted(changes))
        return changed


def remove(deps: Deps, asker: Asker, webhook_id: UUID) -> None:
    """Remove a webhook and its log; what is on its way may still arrive. Raises ``NotFound``."""
    with deps.db.transaction() as tx:
        if not webhooks.remove(tx, asker.organization_id, webhook_id):
            raise no_such_webhook()
        _note(tx, asker, "webhook.removed", webhook_id)
    log.info("webhook_removed", webhook=str(webhook_id), by=asker.user)


def rotate_secret(deps: Deps, asker: Asker, webhook_id: UUID) -> dict[str, Any]:
    """Give a webhook another secret, with which everything is signed from now on, also what was tried before. Returns
    it as shown, with the secret. Raises ``NotFound``."""
    secret = _new_secret()
    with deps.db.transaction() as tx:
        changed = _found(webhooks.rotate(tx, asker.organization_id, webhook_id, secret))
        _note(tx, asker, "webhook.secret_rotated", webhook_id)
    log.info("webhook_secret_rotated", webhook=str(webhook_id), by=asker.user)
    return {**changed, "secret": secret}


def test(deps: Deps, asker: Asker, webhook_id: UUID) -> dict[str, Any]:
    """Send a delivery that tells of no job; it goes out within a second or so. Returns it as its log shows it. Raises
    ``NotFound``, ``Conflict`` (``webhook_paused``)."""
    with deps.db.transaction() as tx:
        _check_awake(tx, asker, webhook_id)
        _note(tx, asker, "webhook.tested", webhook_id)
        return deliveries.add_test(tx, asker.organization_id, webhook_id, new_id(), TEST_EVENT)


def redeliver(deps: Deps, asker: Asker, webhook_id: UUID, delivery_id: UUID) -> dict[str, Any]:
    """Deliver something once more, or at once what waits for its next try, under the same id. Returns it as its log
    shows it. Raises ``NotFound``, ``Conflict`` (``webhook_paused``)."""
    with deps.db.transaction() as tx:
        _check_awake(tx, asker, webhook_id)
        again = deliveries.again(tx, webhook_id, delivery_id)
        if again is None:
            raise NotFound("There is no such delivery.")
        _note(tx, asker, "webhook.redelivered", webhook_id, delivery=str(delivery_id))
        return again


def _note(tx: Transaction, asker: Asker, action: str, webhook_id: UUID, **details: Any) -> None:
    audit.note(tx, Deed(asker.organization_id, action, "webhook", str(webhook_id), details))


def _check_awake(tx: Transaction, asker: Asker, webhook_id: UUID) -> None:
    paused = webhooks.paused(tx, asker.organization_id, webhook_id)
    if paused is None:
        raise no_such_webhook()
    if paused:
        raise Conflict("The webhook is paused, so nothing is sent to it. Resume it first.", code="webhook_paused")


def _found(webhook: dict[str, Any] | None) -> dict[str, Any]:
    if webhook is None:
        raise no_such_webhook()
    return webhook


def no_such_webhook() -> NotFound:
    """The answer to an id the organization doesn't have."""
    return NotFound("There is no such webhook.")

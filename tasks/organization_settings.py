"""The use case of settings: the whole set is chosen at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from schema.audit import Deed
from schema.errors import Conflict, FieldError, Invalid
from schema.organization_settings import NewSettings, OrganizationSettings, as_shown, from_chosen
from schema.settings import ModelSettings
from storage import audit
from storage import organization_settings as rows
from storage.organization_settings import Kept
from tasks.clients.prices import cost_usd
from tasks.commands import Asker
from tasks.deps import Deps

log = structlog.get_logger(__name__)


def choose_settings(deps: Deps, asker: Asker, new: NewSettings) -> Kept:
    """Put ``new`` in the place of all an organization chose.

    Raises ``Invalid`` when a budget is set and the price of a text model isn't known, and ``Conflict`` (``conflict``)
    when ``new`` is based on an older revision."""
    _check_budget(deps.settings.model, from_chosen(new.chosen))
    with deps.db.transaction() as tx:
        before = rows.kept_in(tx, asker.organization_id)
        revision = rows.save(tx, asker.organization_id, new.chosen, asker.user, new.base)
        if revision is None:
            raise _conflict(rows.kept_in(tx, asker.organization_id), new.base)
        names = before.chosen.keys() | new.chosen.keys()
        changed = sorted(name for name in names if before.chosen.get(name) != new.chosen.get(name))
        details = {"changed": changed, "revision": revision}
        audit.note(tx, Deed(asker.organization_id, "settings.changed", "settings", details=details))
    log.info("settings_chosen", organization=str(asker.organization_id), names=sorted(new.chosen))
    return Kept(new.chosen, revision)


def _check_budget(model: ModelSettings, chosen: OrganizationSettings) -> None:
    """What costs nobody knows, no budget can stop."""
    if chosen.daily_budget_usd is None:
        return
    named = {chosen.text_model or model.text_model, *chosen.models.values()}
    unknown = sorted(name for name in named if cost_usd(name, model.base_url, 0, 0) is None)
    if unknown:
        words = f"No price is known here for {', '.join(unknown)}, so what it costs could not be counted."
        raise Invalid([FieldError("settings.dailyBudgetUsd", "price_unknown", words)])


def _conflict(latest: Kept, base: int | None) -> Conflict:
    words = f"Somebody saved revision {latest.revision} meanwhile, and yours is based on {base}. Take theirs up first."
    shown: Mapping[str, Any] = {"revision": latest.revision, "settings": as_shown(from_chosen(latest.chosen))}
    return Conflict(words, details={"conflict": True, "latest": shown})

"""What an organization chose, for a step at work: which models are asked, and what else its settings say."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from schema.organization_settings import OrganizationSettings
from storage import organization_settings
from tasks.work import Work

if TYPE_CHECKING:
    from tasks.clients.text import Ask

_Complete = Callable[["Ask"], Coroutine[Any, Any, Any]]


def choices_of(work: Work) -> OrganizationSettings:
    """The settings of the job's organization as they are now. Not for the event loop: it asks the database."""
    return organization_settings.read(work.deps.db, work.organization_id)


def text_model(work: Work, chosen: OrganizationSettings, purpose: str) -> str:
    """The model that is asked for this purpose."""
    return chosen.model_for(purpose) or work.deps.settings.model.text_model


def asking(chosen: OrganizationSettings, complete: _Complete) -> _Complete:
    """Puts questions like ``complete``, each to the model that was chosen for its purpose."""

    async def asked(ask: Ask) -> Any:
        return await complete(replace(ask, model=chosen.model_for(ask.purpose)))

    return asked

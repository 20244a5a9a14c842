"""What an organization may choose for itself, and what holds where it chose nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError, fields, validate

from schema.fields import LANGUAGE_TAG, Few, Flag, Number, StrictSchema, Text, Whole, load, snake

#: What a call to a text model can be for, as ``models`` names it. Records of calls write it in snake_case.
PURPOSES = ("plan", "items", "studyText", "repair", "verify", "topics", "lessons")
#: The ends of a job that a mail can tell of.
NOTICES = ("completed", "failed", "cancelled", "dead_letter")
#: Of which ends mails tell where nothing else was chosen.
USUAL_NOTICES = ("completed", "failed", "dead_letter")


@dataclass(frozen=True)
class OrganizationSettings:
    """The settings of one organization, defaults filled in. ``models`` maps a purpose (``PURPOSES``) to a model;
    ``text_model`` is for all others, and none means that of the environment. With ``require_review`` a course
    is in no catalog until somebody has approved it. ``daily_budget_usd`` is for a day in UTC; none means no limit."""

    text_model: str | None = None
    image_model: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    verify_keys: bool = True
    require_review: bool = False
    language: str = "en"
    daily_budget_usd: float | None = None
    notify_emails: tuple[str, ...] = ()
    notify_on: tuple[str, ...] = USUAL_NOTICES

    def model_for(self, purpose: str) -> str | None:
        """The text model for calls of this purpose, in the spelling of records (``study_text``); none when none was
        chosen."""
        by_record = {snake(name): model for name, model in self.models.items()}
        return by_record.get(purpose, self.text_model)


def from_chosen(chosen: Mapping[str, Any]) -> OrganizationSettings:
    """The settings that follow from what was chosen (keys as in the API). Keys that only newer code knows are passed
    over."""
    usual = OrganizationSettings()
    return OrganizationSettings(
        text_model=chosen.get("textModel"),
        image_model=chosen.get("imageModel"),
        models=dict(chosen.get("models", {})),
        verify_keys=chosen.get("verifyKeys", usual.verify_keys),
        require_review=chosen.get("requireReview", usual.require_review),
        language=chosen.get("language", usual.language),
        daily_budget_usd=chosen.get("dailyBudgetUsd"),
        notify_emails=tuple(chosen.get("notifyEmails", ())),
        notify_on=tuple(chosen.get("notifyOn", usual.notify_on)),
    )


def as_shown(settings: OrganizationSettings) -> dict[str, Any]:
    """The settings as the API shows them, each key present."""
    return {
        "textModel": settings.text_model,
        "imageModel": settings.image_model,
        "models": {purpose: settings.models.get(purpose) for purpose in PURPOSES},
        "verifyKeys": settings.verify_keys,
        "requireReview": settings.require_review,
        "language": settings.language,
        "dailyBudgetUsd": settings.daily_budget_usd,
        "notifyEmails": list(settings.notify_emails),
        "notifyOn": list(settings.notify_on),
    }


def _once(values: list[str]) -> None:
    if len({value.casefold() for value in values}) < len(values):
        raise ValidationError("Contains the same value twice.")


def _model() -> Text:
    # As vendors and local servers name them: "gpt-5.2", "org/model:7b-q4", "ft:gpt-4.1:school::id".
    shape = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}\Z")
    return Text(
        allow_none=True, validate=validate.Regexp(shape, error="Use the name of a model, at most 200 characters.")
    )


class ModelsSchema(StrictSchema):
    """A text model for each purpose; null and absent mean ``textModel``."""

    plan = _model()
    items = _model()
    studyText = _model()
    repair = _model()
    verify = _model()
    topics = _model()
    lessons = _model()


class OrganizationSettingsSchema(StrictSchema):
    """All an organization may choose. Null and absent mean the default."""

    textModel = _model()
    imageModel = _model()
    models = fields.Nested(ModelsSchema, allow_none=True)
    verifyKeys = Flag(allow_none=True)
    requireReview = Flag(allow_none=True)
    language = Text(allow_none=True, validate=LANGUAGE_TAG)
    dailyBudgetUsd = Number(allow_none=True, validate=validate.Range(0, 1_000_000))
    notifyEmails = Few(
        Text(validate=[validate.Length(max=254), validate.Email(error="Use an e-mail address.")]),
        20,
        allow_none=True,
        validate=[_once],
    )
    notifyOn = Few(
        Text(validate=validate.OneOf(NOTICES, error=f"Use: {', '.join(NOTICES)}.")),
        len(NOTICES),
        allow_none=True,
        validate=[_once],
    )


class NewSettingsSchema(StrictSchema):
    """``PUT /api/settings``: the whole set."""

    settings = fields.Nested(OrganizationSettingsSchema, required=True)
    baseRevision = Whole(validate=validate.Range(0, 2**31 - 1))


@dataclass(frozen=True)
class NewSettings:
    """What an organization wants to choose, checked. ``base`` is the revision it saw, if it told."""

    chosen: dict[str, Any]
    base: int | None


def load_new_settings(given: Any) -> NewSettings:
    """Check the body of ``PUT /api/settings``. Raises ``Invalid`` naming every faulty field."""
    body = load(NewSettingsSchema(), given)
    chosen = {name: value for name, value in body["settings"].items() if value is not None}
    if "models" in chosen:
        chosen["models"] = {purpose: model for purpose, model in chosen["models"].items() if model is not None}
    return NewSettings(chosen, body.get("baseRevision"))

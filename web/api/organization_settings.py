"""``/api/settings``: what an organization chooses for itself (public contract 2.6)."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from marshmallow import fields

from schema.fields import StrictSchema, Whole
from schema.organization_settings import (
    NewSettingsSchema,
    OrganizationSettingsSchema,
    as_shown,
    from_chosen,
    load_new_settings,
)
from storage import organization_settings
from storage.organization_settings import Kept
from tasks.organization_settings import choose_settings
from web.auditing import audited
from web.body import json_body
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(
    Blueprint("settings", __name__, url_prefix="/api/settings"), Need(read="viewer", write="admin", scope="settings")
)


class SettingsAnswerSchema(StrictSchema):
    settings = fields.Nested(OrganizationSettingsSchema, required=True)
    revision = Whole(required=True)


@blueprint.get("")
@describe(
    "Show what the organization chose, and the defaults of all else.", {200: (SettingsAnswerSchema, "Its settings.")}
)
def show() -> Response:
    return _answer(organization_settings.kept(deps().db, who().organization_id))


@blueprint.put("")
@audited("settings.changed", target="settings")
@describe(
    "Choose all settings at once. What is left out, or null, has its default.",
    {200: (SettingsAnswerSchema, "They hold from the next step of every job.")},
    body=NewSettingsSchema,
    problems=(409,),
)
def replace() -> Response:
    return _answer(choose_settings(deps(), who().asker, load_new_settings(json_body())))


def _answer(kept: Kept) -> Response:
    return jsonify({"settings": as_shown(from_chosen(kept.chosen)), "revision": kept.revision})

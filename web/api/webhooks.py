"""``/api/webhooks``: who is told when a job ends, and the log of what was sent (public contract 2.6)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, jsonify, url_for
from marshmallow import fields

from schema.errors import NotFound
from schema.fields import StrictSchema, Text, load
from schema.job import is_id
from schema.webhook import (
    DeliverySchema,
    NewWebhookSchema,
    WebhookChangesSchema,
    WebhookSchema,
    WebhookWithSecretSchema,
)
from storage.notices import deliveries
from storage.notices import webhooks as rows
from tasks import webhooks
from web.arguments import paged
from web.auditing import audited
from web.body import json_body, only_arguments, page, read_cursor, whole_argument
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(
    Blueprint("webhooks", __name__, url_prefix="/api/webhooks"), Need(read="admin", write="admin", scope="webhooks")
)

_LOG_QUERY = paged("Deliveries", 200, 50)


class WebhookListSchema(StrictSchema):
    webhooks = fields.List(fields.Nested(WebhookSchema), required=True)


class DeliveryListSchema(StrictSchema):
    deliveries = fields.List(fields.Nested(DeliverySchema), required=True)
    nextCursor = Text(required=True, allow_none=True)


def _webhook_id(text: str) -> UUID:
    if not is_id(text):
        raise webhooks.no_such_webhook()
    return UUID(text)


@blueprint.get("")
@describe("List the webhooks, the oldest first.", {200: (WebhookListSchema, "All of them; there are at most 20.")})
def index() -> Response:
    return jsonify({"webhooks": rows.of_organization(deps().db, who().organization_id)})


@blueprint.post("")
@audited("webhook.made", target="webhook")
@describe(
    "Make a webhook. Only this answer tells its secret.",
    {201: (WebhookWithSecretSchema, "The webhook, and the secret that its deliveries are signed with.")},
    body=NewWebhookSchema,
    problems=(409,),
)
def make() -> Response:
    made = webhooks.make(deps(), who().asker, load(NewWebhookSchema(), json_body()))
    response = jsonify(made)
    response.status_code = 201
    response.headers["Location"] = url_for("webhooks.show", webhook_id=made["webhookId"])
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/<webhook_id>")
@describe("Show a webhook.", {200: (WebhookSchema, "The webhook, without its secret.")}, problems=(404,))
def show(webhook_id: str) -> Response:
    found = rows.read(deps().db, who().organization_id, _webhook_id(webhook_id))
    if found is None:
        raise webhooks.no_such_webhook()
    return jsonify(found)


@blueprint.patch("/<webhook_id>")
@audited("webhook.changed", target="webhook")
@describe(
    "Change a webhook, pause or resume it. What is left out stays.",
    {200: (WebhookSchema, "The webhook as it is now.")},
    body=WebhookChangesSchema,
    problems=(404,),
)
def change(webhook_id: str) -> Response:
    changes = load(WebhookChangesSchema(), json_body())
    return jsonify(webhooks.change(deps(), who().asker, _webhook_id(webhook_id), changes))


@blueprint.delete("/<webhook_id>")
@audited("webhook.removed", target="webhook")
@describe("Remove a webhook with its log.", {204: (None, "It is removed.")}, problems=(404,))
def remove(webhook_id: str) -> Response:
    webhooks.remove(deps(), who().asker, _webhook_id(webhook_id))
    return Response(status=204)


@blueprint.post("/<webhook_id>/test")
@audited("webhook.tested", target="webhook")
@describe(
    "Send a test, which tells of no job.",
    {202: (DeliverySchema, "It goes out within a second or so; the log shows what came of it.")},
    problems=(404, 409),
)
def test(webhook_id: str) -> Response:
    return _on_its_way(webhook_id, webhooks.test(deps(), who().asker, _webhook_id(webhook_id)))


@blueprint.post("/<webhook_id>/rotate-secret")
@audited("webhook.secret_rotated", target="webhook")
@describe(
    "Give a webhook another secret. Only this answer tells it.",
    {200: (WebhookWithSecretSchema, "The webhook with its new secret.")},
    problems=(404,),
)
def rotate_secret(webhook_id: str) -> Response:
    response = jsonify(webhooks.rotate_secret(deps(), who().asker, _webhook_id(webhook_id)))
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/<webhook_id>/deliveries")
@describe(
    "The log of a webhook's deliveries, newest first. It reaches back 30 days.",
    {200: (DeliveryListSchema, "A page of deliveries.")},
    query=_LOG_QUERY,
    problems=(404, 422),
)
def list_deliveries(webhook_id: str) -> Response:
    only_arguments(_LOG_QUERY)
    limit = whole_argument("limit", 50, 1, 200)
    found, organization_id = _webhook_id(webhook_id), who().organization_id
    if rows.read(deps().db, organization_id, found) is None:
        raise webhooks.no_such_webhook()
    log, following = page(deliveries.newest(deps().db, organization_id, found, read_cursor(), limit + 1), limit)
    return jsonify({"deliveries": log, "nextCursor": following})


@blueprint.post("/<webhook_id>/deliveries/<delivery_id>/redeliver")
@audited("webhook.redelivered", target="webhook")
@describe(
    "Deliver something once more, under the same id.",
    {202: (DeliverySchema, "It goes out within a second or so; the log shows what came of it.")},
    problems=(404, 409),
)
def redeliver(webhook_id: str, delivery_id: str) -> Response:
    if not is_id(delivery_id):
        raise NotFound("There is no such delivery.")
    again = webhooks.redeliver(deps(), who().asker, _webhook_id(webhook_id), UUID(delivery_id))
    return _on_its_way(webhook_id, again)


def _on_its_way(webhook_id: str, delivery: dict[str, object]) -> Response:
    response = jsonify(delivery)
    response.status_code = 202
    response.headers["Location"] = url_for("webhooks.list_deliveries", webhook_id=webhook_id)
    return response

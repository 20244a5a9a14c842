"""``/healthz``, ``/readyz``, ``/metrics``: for load balancers and operators."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify
from prometheus_client import CONTENT_TYPE_LATEST

from schema.errors import CoursewrightError
from storage.postgres.schema_version import current, head
from web.describe import describe
from web.identity import PUBLIC, needs
from web.metrics import Kept, shown
from web.wiring import deps

blueprint = needs(Blueprint("system", __name__), PUBLIC)


@blueprint.get("/healthz")
@describe("Whether this process lives.", {200: (None, "It does.")})
def healthz() -> Response:
    return jsonify({"status": "alive"})


@blueprint.get("/readyz")
@describe("Whether everything this process needs is there.", {200: (None, "It is."), 503: (None, "Something is away.")})
def readyz() -> Response:
    wired = deps()
    states = {
        "database": _database(),
        "redis": "ready" if wired.bus.alive() else "away",
        "objects": "ready" if wired.objects.alive() else "away",
        "model": "configured" if wired.settings.model.configured else "not configured",
    }
    ready = states["database"] == states["redis"] == states["objects"] == "ready"
    response = jsonify({"status": "ready" if ready else "not ready", "dependencies": states})
    response.status_code = 200 if ready else 503
    response.headers["Cache-Control"] = "no-store"
    return response


def _database() -> str:
    try:
        with deps().db.statement() as tx:
            at = current(tx.connection)
    except CoursewrightError:
        return "away"
    return "ready" if at == head() else f"at migration {at}, this code needs {head()}: run coursewright db upgrade"


@blueprint.get("/metrics")
@describe("Metrics for Prometheus.", {200: (None, "The text format.")}, media_type="text/plain")
def metrics() -> Response:
    kept: Kept = current_app.extensions.setdefault("coursewright_metrics", Kept(deps()))
    return Response(shown(kept.get()), content_type=CONTENT_TYPE_LATEST)

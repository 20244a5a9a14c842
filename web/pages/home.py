"""Where one arrives."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from web.identity import Need, needs

blueprint = needs(Blueprint("pages", __name__), Need(read="viewer", write="author", scope="catalog"))


@blueprint.get("/")
def home() -> BaseResponse:
    return redirect(url_for("catalog_pages.show"))

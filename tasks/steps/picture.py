"""First step of a media job: make the picture and store its bytes; only then its row says that it exists."""

from __future__ import annotations

import hashlib
from typing import Any

from schema.errors import ModelNotConfigured
from schema.pack import PackDiagram
from storage import media, reviews
from storage.db import Transaction
from storage.media import Asset
from tasks.choices import choices_of
from tasks.packs import pack_named
from tasks.pictures import draw
from tasks.work import Outcome, Work


def run(work: Work) -> Outcome:
    """Make one picture. The checkpoint is ``{"assetPath", "sha256", "width", "height", "source"}``.

    An image model makes it when one is configured; else the pack's own diagram is drawn here, and also where it takes
    the place of such a diagram that was lost: it comes out the same. Raises ``ModelNotConfigured`` when there is
    neither."""
    png, width, height, source = _made(work)
    digest = hashlib.sha256(png).hexdigest()
    asset = Asset(
        organization_id=work.organization_id,
        sha256=digest,
        extension="png",
        content_type="image/png",
        byte_size=len(png),
        width=width,
        height=height,
        visibility=work.payload["visibility"],
        prompt=work.payload["prompt"],
        source=source,
        job_id=work.job_id,
        course_id=work.course_id,
    )
    shared = "public" if _is_public(work, asset) else "private"
    bucket = work.deps.settings.s3.media_bucket
    work.deps.objects.put(bucket, asset.key, png, "image/png", f"{shared}, max-age=31536000, immutable")

    def keep(tx: Transaction) -> dict[str, Any]:
        media.keep(tx, asset)
        return {}

    result = {"assetPath": asset.path, "sha256": digest, "width": width, "height": height, "source": source}
    return Outcome(result, writes=keep)


def _is_public(work: Work, asset: Asset) -> bool:
    """Whether a public course is about to show it that waits for no review, or shows the same bytes already; another
    organization's don't count."""
    org = work.organization_id
    if asset.visibility == "public" and not reviews.waits(work.deps.db, org, work.course_id):
        return True
    known = media.read(work.deps.db, org, asset.sha256, asset.extension)
    return known is not None and (known.organization_id, known.visibility) == (org, "public")


def _made(work: Work) -> tuple[bytes, int, int, str]:
    shows = work.payload["prompt"]
    was_drawn = work.payload.get("remakes", {}).get("source") == "pack"
    if work.deps.settings.model.configured and not was_drawn:
        made = work.ask(work.deps.images.make(shows, choices_of(work).image_model))
        return made.png, made.width, made.height, "model"
    diagram = _diagram(work.payload.get("packId"), shows)
    if diagram is None:
        raise ModelNotConfigured(
            "No image model is configured, and no pack has a diagram for this picture. Set OPENAI_API_KEY or "
            "OPENAI_BASE_URL and retry this media job."
        )
    drawn = draw(diagram)
    return drawn.png, drawn.width, drawn.height, "pack"


def _diagram(pack_id: str | None, shows: str) -> PackDiagram | None:
    if pack_id is None:
        return None
    return next((diagram for diagram in pack_named(pack_id)["diagrams"] if diagram["shows"] == shows), None)

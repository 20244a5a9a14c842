"""Writing what readers download: ``course.json`` from a document's current revision, ``catalog.json`` from a catalog.

Everything here can be done twice, late, or by two at once: the store keeps the number of what it holds, and an older
one never replaces a newer one.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import structlog

from schema.errors import Transient, Unavailable
from storage import catalog, documents
from storage.catalog import PUBLIC
from storage.documents import Revision
from tasks.deps import Deps

log = structlog.get_logger(__name__)

CATALOG_CACHE = "no-cache, no-store, must-revalidate"
COURSE_CACHE = "no-cache"
DEBUG_CACHE = "private, no-store"


def course_key(organization_id: UUID, course_id: str) -> str:
    return f"{organization_id}/{course_id}/course.json"


def catalog_key(catalog_id: UUID) -> str:
    return "catalog.json" if catalog_id == PUBLIC else f"{catalog_id}/catalog.json"


def debug_key(organization_id: UUID, job_id: UUID, name: str) -> str:
    return f"debug/{organization_id}/jobs/{job_id}/{name}"


def as_bytes(document: Any) -> bytes:
    """JSON the way it is stored: UTF-8, readable, and the same bytes for the same document."""
    return json.dumps(document, ensure_ascii=False, sort_keys=False, separators=(",", ":")).encode()


def keep_debug(deps: Deps, organization_id: UUID, job_id: UUID, name: str, document: Any) -> None:
    """Keep something operators may want to look at. A job doesn't depend on it: when the store is away the log says
    so, and what it holds stands in the job's checkpoints and error as well."""
    # Half a surrogate pair, as models write them, can't be encoded; its escape means the same in JSON.
    body = json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace")
    key = debug_key(organization_id, job_id, name)
    try:
        deps.objects.put(deps.settings.s3.courses_bucket, key, body, "application/json; charset=utf-8", DEBUG_CACHE)
    except Transient as error:
        log.warning("debug_file_not_kept", key=key, reason=error.code)


def publish_document(deps: Deps, revision: Revision) -> bool:
    """Bring a course's ``course.json`` up to this revision. Returns whether this call wrote it: it may have been there
    already, or another. Raises ``Transient`` when the store is away."""
    key = course_key(revision.organization_id, revision.document_id)
    bucket = deps.settings.s3.courses_bucket
    written = deps.objects.put_current(bucket, key, as_bytes(revision.content), revision.revision, COURSE_CACHE)
    documents.mark_stored(deps.db, revision)
    return written


def publish_catalogs(deps: Deps) -> int:
    """Write every ``catalog.json`` that is behind, folding all that waits into one write each. Returns how many.
    Raises ``Transient`` when the store is away; then nobody has to wait for this publisher's claims to lapse."""
    # Short, for a publisher that is killed keeps its claim; two at once do no harm, the store keeps the newer file.
    claimed = catalog.claim_behind(deps.db, seconds=5)
    try:
        for catalog_id in claimed:
            publish_catalog(deps, catalog_id)
    except Transient:
        catalog.give_back(deps.db, claimed)
        raise
    return len(claimed)


def publish_catalog(deps: Deps, catalog_id: UUID) -> bool:
    """Bring a catalog's ``catalog.json`` up to its version. Returns whether this call wrote it. Raises ``Transient``
    when the store is away."""
    whole = catalog.whole(deps.db, catalog_id)
    bucket, key = deps.settings.s3.courses_bucket, catalog_key(catalog_id)
    written = deps.objects.put_current(bucket, key, as_bytes(whole), whole["version"], CATALOG_CACHE)
    catalog.file_written(deps.db, catalog_id, whole["version"])
    return written


def publish_soon(deps: Deps, revision: Revision) -> None:
    """Write a revision right after its commit. When store or database are away, the sweep does it later."""
    try:
        publish_document(deps, revision)
    except (Transient, Unavailable) as error:
        log.warning("document_waits_for_the_store", reason=error.code)

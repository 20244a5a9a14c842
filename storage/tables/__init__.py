"""Every table, a room for each kind. Alembic's migrations are checked against ``metadata``.

Rows that change often stay small: payloads and leases have tables of their own, the hot ones leave room on each
page (fillfactor 70) so that an update needs no new index entry, and no index covers a heartbeat.
"""

from __future__ import annotations

from storage.tables import audit, documents, exams, identity, jobs, notices, operations, organizations, schedules
from storage.tables.columns import metadata

__all__ = [
    "audit",
    "documents",
    "exams",
    "identity",
    "jobs",
    "metadata",
    "notices",
    "operations",
    "organizations",
    "schedules",
]

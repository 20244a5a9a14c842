"""Putting a course into its catalogs, and waking whoever follows them."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from storage import catalog
from storage.bus import Bus
from storage.catalog import Listing
from storage.db import Transaction


def list_course(bus: Bus, tx: Transaction, listing: Listing) -> int:
    """Put a course's revision into its catalogs; those who follow them are woken after the commit. Returns the version
    of the organization's catalog that shows it."""

    def changed(catalog_id: UUID) -> None:
        tx.after_commit(partial(bus.wake_catalog, catalog_id))

    return catalog.list_course(tx, listing, changed)

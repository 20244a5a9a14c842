"""What all tables share: one convention for names, and columns that mean the same everywhere."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, DateTime, ForeignKey, Integer, MetaData, Uuid, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

NOW = text("clock_timestamp()")
HOT = {"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.02, "autovacuum_vacuum_cost_delay": 0}
#: For the times of rows that are only ever added: a few bytes for each 32 pages, kept up to date without a vacuum.
LOG = {"pages_per_range": 32, "autosummarize": "on"}


def moment(name: str, *, required: bool = False) -> Column[Any]:
    """A UTC-aware time; when required it defaults to the moment of the insert."""
    if required:
        return Column(name, DateTime(timezone=True), nullable=False, server_default=NOW)
    return Column(name, DateTime(timezone=True))


def organization() -> Column[Any]:
    return Column("organization_id", Uuid, ForeignKey("organizations.id"), nullable=False)


def count(name: str, default: int = 0) -> Column[Any]:
    return Column(name, Integer, nullable=False, server_default=text(str(default)))

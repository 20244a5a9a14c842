"""The database of a process: at which address, and as whom, by what the process is for (decision 19)."""

from __future__ import annotations

from schema.settings import Settings
from storage.db import Database, make_engine
from storage.postgres.roles import WEB

#: Commands of operators, who see everything and may be the ones to migrate.
_OPERATORS = frozenset({"cli", "doctor", "up"})


def database_of(read: Settings, name: str, *, ping: bool = False, pool_size: int = 8) -> Database:
    """The database for the process of this name: ``web``; ``cli``, ``doctor`` and ``up`` for operators; and workers,
    whatever they are called.

    Given nothing but the owner's address, the web becomes its role on each connection, and a worker is the owner, who
    becomes another for each step."""
    if name == "web":
        url, role = (read.web_database_url, "") if read.web_database_url else (read.database_url, WEB)
        return Database(make_engine(url, name=name, pool_size=pool_size, ping=ping, purpose="web", role=role))
    if name in _OPERATORS:
        return Database(make_engine(read.database_url, name=name, pool_size=pool_size, ping=ping))
    url = read.worker_database_url or read.database_url
    return Database(make_engine(url, name=name, pool_size=pool_size, ping=ping, purpose="worker"))

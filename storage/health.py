"""How the three servers are: what ``coursewright doctor`` and ``/metrics`` ask them. Facts only; others judge them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from minio.error import MinioException
from redis.exceptions import ResponseError
from sqlalchemy.exc import DBAPIError
from urllib3.exceptions import HTTPError

from schema.clock import new_id
from schema.errors import CoursewrightError, Transient, Unavailable
from storage.bus import Bus, reaching_redis
from storage.db import Database
from storage.objects import ObjectStore
from storage.tables import metadata


def reason(error: CoursewrightError) -> str:
    """Why a server is away, in the words of its client library: whoever looks for the cause needs them. They name hosts
    and users, never passwords."""
    cause = error.__cause__
    words = str(getattr(cause, "orig", None) or cause or error.message).strip()
    return words.splitlines()[0] if words else type(cause).__name__


# --- Postgres -----------------------------------------------------------------------------------------------------


@contextmanager
def reading_postgres() -> Iterator[None]:
    """What Postgres refuses to tell, for want of a table, a column or a right, is ``Unavailable`` in here, and
    ``reason`` has its words. Anywhere else that would be a fault of ours."""
    try:
        yield
    except DBAPIError as error:
        raise Unavailable("Postgres refuses to tell.") from error


@dataclass(frozen=True)
class Session:
    """A session of Postgres whose transaction has been open for ``seconds``. ``idle``: it does nothing in it."""

    pid: int
    name: str
    idle: bool
    seconds: float


@dataclass(frozen=True)
class DatabaseFacts:
    """``version`` as Postgres writes it and ``major`` as a number; ``lacking`` are tables with a right the role does
    not have; ``connections`` are open ones of ``connections_limit``; ``unused_indexes`` are those left half built."""

    version: str
    major: int
    role: str
    may_create: bool
    lacking: list[str]
    connections: int
    connections_limit: int
    now: datetime
    sessions: list[Session]
    unused_indexes: list[str]


def database(db: Database, *, open_for_seconds: float) -> DatabaseFacts:
    """The state of Postgres, with the transactions open for longer than that. Raises ``Unavailable``."""
    with db.statement() as tx:
        server = tx.run(
            """SELECT current_setting('server_version') AS version,
              current_setting('server_version_num')::int / 10000 AS major, current_user AS role,
              has_schema_privilege('public', 'CREATE') AS may_create,
              current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,
              (SELECT sum(numbackends) FROM pg_stat_database) AS used, clock_timestamp() AS now"""
        ).one()
    with db.statement() as tx:
        # A table that is missing is the migrations' affair, and an entry of the audit log nobody may change.
        lacking = tx.run(
            """SELECT name FROM unnest(CAST(:tables AS text[])) AS name WHERE to_regclass(name) IS NOT NULL
              AND NOT (SELECT bool_and(has_table_privilege(to_regclass(name), wanted))
                FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wanted
                WHERE (name, wanted) <> ('audit_log', 'UPDATE')) ORDER BY 1""",
            {"tables": sorted(metadata.tables)},
        ).scalars()
    with db.statement() as tx:
        sessions = tx.run(
            """SELECT pid, application_name AS name, state LIKE 'idle in transaction%' AS idle,
              EXTRACT(epoch FROM clock_timestamp() - xact_start)::float AS seconds
            FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
              AND xact_start < clock_timestamp() - make_interval(secs => :open) ORDER BY xact_start LIMIT 10""",
            {"open": open_for_seconds},
        ).all()
    with db.statement() as tx:
        unused = tx.run(
            """SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            WHERE NOT i.indisvalid AND c.relnamespace = 'public'::regnamespace ORDER BY 1"""
        ).scalars()
    return DatabaseFacts(
        version=server.version,
        major=server.major,
        role=server.role,
        may_create=server.may_create,
        lacking=list(lacking),
        connections=int(server.used),
        connections_limit=server.most,
        now=server.now,
        sessions=[Session(row.pid, row.name or "unnamed", row.idle, row.seconds) for row in sessions],
        unused_indexes=list(unused),
    )


# --- Redis --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RedisFacts:
    """``policy`` is none when the server does not tell; ``memory_limit`` is 0 when there is none. Sizes in bytes."""

    version: str
    policy: str | None
    memory: int
    memory_limit: int


def redis(bus: Bus) -> RedisFacts:
    """The state of Redis or Valkey. Raises ``Unavailable``."""
    with reaching_redis():
        about = bus.client.info()
        try:
            policy = bus.client.config_get("maxmemory-policy").get("maxmemory-policy")
        except ResponseError:  # a hosted server may keep its configuration to itself
            policy = about.get("maxmemory_policy")
    version = about.get("valkey_version") or about.get("redis_version") or "unknown"
    return RedisFacts(
        version=str(version),
        policy=str(policy) if policy else None,
        memory=int(about.get("used_memory", 0)),
        memory_limit=int(about.get("maxmemory", 0)),
    )


#: A queue is one list for each of Celery's four priorities over Redis; the first has the queue's bare name.
_LINES = ("", "\x06\x163", "\x06\x166", "\x06\x169")


def broker_lengths(bus: Bus, queues: Sequence[str]) -> dict[str, int]:
    """How many messages of each queue no worker has taken. Raises ``Unavailable``."""
    with reaching_redis():
        pipeline = bus.client.pipeline(transaction=False)
        for queue in queues:
            for line in _LINES:
                pipeline.llen(f"{queue}{line}")
        lengths = [int(length) for length in pipeline.execute()]
    each = len(_LINES)
    return {queue: sum(lengths[at * each : (at + 1) * each]) for at, queue in enumerate(queues)}


# --- the object store ---------------------------------------------------------------------------------------------


def bucket_fault(store: ObjectStore, bucket: str) -> str | None:
    """Try a bucket for real: write, read, write only if unchanged, remove. Says what does not work, or none."""
    try:
        if not store.client.bucket_exists(bucket):
            return "it is not there"
        key = f"debug/doctor/{new_id()}"
        try:
            return _tried(store, bucket, key)
        finally:
            store.client.remove_object(bucket, key)
    except Transient as error:
        return f"{error.message} ({error.details.get('reason') or error.details.get('status')})"
    except (MinioException, HTTPError, OSError) as error:
        return f"{getattr(error, 'code', None) or type(error).__name__}"


def _tried(store: ObjectStore, bucket: str, key: str) -> str | None:
    if not store.put_current(bucket, key, b"1", 1, "no-store") or store.read(bucket, key) != b"1":
        return "what was written is not what is read"
    if store.put_current(bucket, key, b"1", 1, "no-store"):
        return "it does not keep the number of what is stored (x-amz-meta-number)"
    if not store.put_current(bucket, key, b"2", 2, "no-store") or store.read(bucket, key) != b"2":
        return "a newer write is refused"
    for name, value in (("If-None-Match", "*"), ("If-Match", '"00000000000000000000000000000000"')):
        if store._signed_put(bucket, key, b"3", {name: value}).status < 400:
            return f"it ignores {name}, so two writers could overwrite each other"
    return None

"""The doctor's look at the three servers: are they there, may we, and do they do what is relied on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from smtplib import SMTPException

from schema.clock import utc_now
from schema.errors import Unavailable
from storage import health
from storage.health import DatabaseFacts
from storage.postgres.schema_version import current, differences, head
from tasks.deps import Deps
from tasks.notices.mails import connected, words_for
from web.doctor.finding import Finding, fault, ok, warning

#: Below this Postgres major something the code relies on is missing; the tests run on the second.
LEAST_POSTGRES, TESTED_POSTGRES = 15, 18
#: A transaction open for longer than this, in seconds, is told.
OPEN_SECONDS = 30
#: So many connections should be left, for a process more and for whoever looks.
LEAST_CONNECTIONS, FEW_CONNECTIONS = 3, 20
#: Clocks this far apart, in seconds: confusing to read; and too far for the store to take a signature.
CLOCK_WARNING, CLOCK_FAULT = 2, 300
_MEND_STORE = (
    "Check S3_ENDPOINT_URL, the keys and their rights. A bucket that is missing is made by coursewright up, and by the "
    "service buckets of docker-compose.yml. The store must honour If-Match and If-None-Match."
)


def postgres(deps: Deps) -> Iterator[Finding]:
    """Postgres: reachable, its version, its tables, the role's rights, room, and what is left open."""
    asked = utc_now()
    try:
        facts = health.database(deps.db, open_for_seconds=OPEN_SECONDS)
    except Unavailable as error:
        words = f"Postgres can't be reached: {health.reason(error)}."
        yield fault("database", words, "Check DATABASE_URL, that the server runs, and that it lets this host in.")
        return
    yield _version(facts)
    yield _rights(facts)
    yield _migrations(deps, facts.role)
    yield _connections(facts)
    yield from _transactions(facts)
    yield _clock(facts.now, asked, utc_now())
    if facts.unused_indexes:
        words = f"Left half built and never used: {', '.join(facts.unused_indexes)}."
        yield warning("indexes", words, f"REINDEX INDEX CONCURRENTLY {facts.unused_indexes[0]}; for each.")


def _version(facts: DatabaseFacts) -> Finding:
    words = f"Postgres {facts.version}, as {facts.role}."
    if facts.major < LEAST_POSTGRES:
        return fault("database", words, f"Coursewright needs Postgres {LEAST_POSTGRES} or newer.")
    if facts.major < TESTED_POSTGRES:
        return warning("database", words, f"The tests run on Postgres {TESTED_POSTGRES}. Upgrade when you can.")
    return ok("database", words)


def _migrations(deps: Deps, role: str) -> Finding:
    try:
        with health.reading_postgres(), deps.db.statement() as tx:
            at = current(tx.connection)
            apart = differences(tx.connection) if at == head() else []
    except Unavailable as error:
        words = f"They can't be read: {health.reason(error)}."
        return fault("migrations", words, f"As the owner: GRANT SELECT ON alembic_version TO {role};")
    if at is None:
        return fault("migrations", "The database has no tables.", "coursewright db upgrade")
    if at < head():
        return fault("migrations", f"At {at}, this code needs {head()}.", "coursewright db upgrade")
    if at > head():
        words = f"At {at}, newer than this code, which knows {head()}."
        return warning("migrations", words, "Right in the middle of a roll back; else install the newer release here.")
    if apart:
        words = f"At {at}, but {len(apart)} tables, columns or indexes are not as the code has them: {apart[0]!r:.120}."
        return fault("migrations", words, "Somebody changed them by hand. Change them back, or restore a backup.")
    return ok("migrations", f"At {at}, as this code.")


def _rights(facts: DatabaseFacts) -> Finding:
    if facts.lacking:
        words = f"{facts.role} may not read and write {', '.join(facts.lacking)}."
        granted = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {facts.role};"
        return fault("rights", words, f"As the owner: {granted}")
    if not facts.may_create:
        words = f"{facts.role} may read and write everything, but make no tables."
        return warning("rights", words, "Right for the processes; run coursewright db upgrade as the owner.")
    return ok("rights", f"{facts.role} may read, write and upgrade.")


def _connections(facts: DatabaseFacts) -> Finding:
    left = facts.connections_limit - facts.connections
    words = f"{facts.connections} of {facts.connections_limit} connections are open."
    mend = "Raise max_connections, put a pooler in between, or start fewer processes; each may open 8."
    if left < LEAST_CONNECTIONS:
        return fault("connections", words, mend)
    return warning("connections", words, mend) if left < FEW_CONNECTIONS else ok("connections", words)


def _transactions(facts: DatabaseFacts) -> Iterator[Finding]:
    if not facts.sessions:
        yield ok("transactions", f"None is open for longer than {OPEN_SECONDS} s.")
    for one in facts.sessions:
        doing = "idle in a transaction" if one.idle else "in one transaction"
        words = f"{one.name} (pid {one.pid}) is {doing} for {one.seconds:.0f} s; upgrades and clean-up wait for it."
        yield warning("transactions", words, f"Let it end, or: SELECT pg_terminate_backend({one.pid});")


def _clock(there: datetime, before: datetime, after: datetime) -> Finding:
    """Compared with the middle of the question; half of what the answer took can't be told from a difference."""
    apart = abs((there - before - (after - before) / 2).total_seconds()) - (after - before).total_seconds() / 2
    apart = max(0.0, apart)
    words = f"This host and Postgres differ by {apart:.1f} s."
    mend = "Let NTP set both clocks."
    if apart > CLOCK_FAULT:
        return fault("clock", words, mend)
    return warning("clock", words, mend) if apart > CLOCK_WARNING else ok("clock", words)


def broker(deps: Deps, queues: list[str]) -> Iterator[Finding]:
    """Redis or Valkey: reachable, forgets nothing, has room, and its queues are short."""
    try:
        facts = health.redis(deps.bus)
        lengths = health.broker_lengths(deps.bus, queues)
    except Unavailable as error:
        words = f"Redis can't be reached: {health.reason(error)}."
        yield fault("redis", words, "Check REDIS_URL and its password, and that the server runs.")
        return
    yield ok("redis", f"Version {facts.version}.")
    if facts.policy is None:
        words = "The server does not tell its maxmemory-policy."
        yield warning("redis policy", words, "Make sure that it is noeviction.")
    elif facts.policy != "noeviction":
        words = f"maxmemory-policy is {facts.policy}: a full Redis would forget messages silently."
        yield fault("redis policy", words, "CONFIG SET maxmemory-policy noeviction, and in its configuration file.")
    else:
        yield ok("redis policy", "noeviction: a full Redis says so instead of forgetting.")
    yield _memory(facts.memory, facts.memory_limit)
    told = ", ".join(f"{queue} {length}" for queue, length in lengths.items())
    longest = max(lengths.values())
    if longest > 2 * deps.settings.jobs.dispatch_window:
        words = f"Messages pile up: {told}."
        yield warning("broker queues", words, "Nobody takes them: see workers below, and the logs of worker and media.")
    else:
        yield ok("broker queues", f"Messages nobody took yet: {told}.")


def _memory(used: int, limit: int) -> Finding:
    megabytes = f"{used / 1e6:.0f} MB"
    if not limit:
        return ok("redis memory", f"{megabytes} used, no limit set.")
    words = f"{megabytes} of {limit / 1e6:.0f} MB used."
    mend = "Raise maxmemory, or find out what else is kept there. Coursewright itself needs a few MB."
    if used > 0.95 * limit:
        return fault("redis memory", words, mend)
    return warning("redis memory", words, mend) if used > 0.8 * limit else ok("redis memory", words)


def store(deps: Deps) -> Iterator[Finding]:
    """The object store: both buckets are there and do what the publisher relies on."""
    for bucket in (deps.settings.s3.courses_bucket, deps.settings.s3.media_bucket):
        name = f"bucket {bucket}"
        wrong = health.bucket_fault(deps.objects, bucket)
        if wrong is None:
            yield ok(name, "Writes, reads, and refuses to overwrite what it should not.")
        else:
            yield fault(name, f"{wrong[0].upper()}{wrong[1:]}.", _MEND_STORE)


def mail(deps: Deps) -> Iterator[Finding]:
    """The mail server, where one is set: does it answer, and let us in? No mail is sent."""
    settings = deps.settings.notices
    if settings.mail is None:
        return
    try:
        with connected(settings.mail):
            pass
    except (OSError, SMTPException) as error:
        yield fault("mail", words_for(error), "Check SMTP_URL, and that this host may reach the mail server.")
        return
    yield ok("mail", f"{settings.mail.host} answers, and takes what SMTP_URL says.")
    if settings.public_url is None:
        yield warning("mail", "PUBLIC_URL is not set, so mails have no links.", "Set it to the address people use.")

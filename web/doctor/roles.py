"""The doctor's look at the roles of the database: is the web walled in, can a job's steps be?"""

from __future__ import annotations

from collections.abc import Iterator

from schema.errors import Unavailable
from schema.settings import Settings
from storage import health
from storage.postgres.connecting import database_of
from web.doctor.finding import Finding, fault, ok, warning

_MEND = "docs/operations.md, Database roles, has every command."


def roles(settings: Settings) -> Iterator[Finding]:
    """As whom the web and the workers reach the database with these settings, and whether that will do."""
    yield _role(settings, "web", settings.web_database_url, "sees what belongs to the organization of a request")
    words = "serves everybody, and steps of jobs their own organization alone"
    yield _role(settings, "worker", settings.worker_database_url, words)


def _role(settings: Settings, name: str, url: str | None, words: str) -> Finding:
    db = database_of(settings, name, pool_size=1)
    try:
        with db.statement() as tx:
            role = tx.run("SELECT current_user").scalar_one()
    except Unavailable as error:
        if error.code == "database_role" and url is None:
            # Also in the environment of another process, which is told only its own address.
            return warning(f"role of {name}", error.message, f"Set it here, or ask where it is set. {_MEND}")
        told = error.message if error.code == "database_role" else health.reason(error)
        return fault(f"role of {name}", told, f"Check {name.upper()}_DATABASE_URL. {_MEND}")
    finally:
        db.dispose()
    return ok(f"role of {name}", f"As {role} it {words}.")

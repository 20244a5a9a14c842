"""``coursewright ...``: the command line. Exit codes: 0 done, 1 the job failed, 2 bad usage or configuration."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

import click

from schema.clock import new_id
from schema.errors import CoursewrightError, SettingsError
from schema.job import STATUSES
from schema.settings import DEMO_ORGANIZATION_ID

if TYPE_CHECKING:
    from tasks.commands import Asker
    from tasks.deps import Deps


def _home() -> Path:
    return Path(os.environ.get("COURSEWRIGHT_HOME") or ".coursewright").absolute()


def _give_up(message: str) -> NoReturn:
    click.echo(f"coursewright: {message}", err=True)
    sys.exit(2)


def _wired() -> Deps:
    """The deps of a command: from the environment, or from the system running under the home folder."""
    from tasks.deps import wire

    kept = _home() / "run" / "environment.json"
    if not os.environ.get("DATABASE_URL", "").strip():
        if not kept.exists():
            _give_up(
                f"Nothing is running from {_home()}. Start it with: coursewright up "
                "(or set DATABASE_URL and the others, see README)."
            )
        for name, value in json.loads(kept.read_text("utf-8")).items():
            if not os.environ.get(name, "").strip():
                os.environ[name] = value
    try:
        return wire("cli", ping=True, pool_size=2)
    except SettingsError as error:
        _give_up(f"{error.message} Or start everything on this machine with: coursewright up")


def _asker(organization: str) -> Asker:
    from tasks.commands import Asker

    try:
        return Asker(UUID(organization), None)
    except ValueError:
        _give_up(f"{organization!r} is not an organization id.")


_organization = click.option(
    "--organization", default=DEMO_ORGANIZATION_ID, show_default=True, help="Whose: the id of an organization."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Coursewright, a course factory."""


# --- everything on this machine -------------------------------------------------------------------------------


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when ready.")
def up(as_json: bool) -> None:
    """Run everything on this machine until Ctrl-C."""
    from web.everything import run

    sys.exit(run(_home(), as_json=as_json))


@cli.command()
def demo() -> None:
    """Start everything, have courses made over HTTP, check them, and stop everything."""
    from web.demo import run

    sys.exit(run(_home()))


@cli.group()
def db() -> None:
    """The database."""


@db.command()
def upgrade() -> None:
    """Bring the tables up to this version."""
    from storage.schema_version import upgrade as run

    run(_wired().db.engine)
    click.echo("The database is up to date.")


@cli.group()
def org() -> None:
    """Organizations."""


@org.command("create")
@click.argument("name")
def org_create(name: str) -> None:
    """Make an organization and print its id."""
    from slugify import slugify

    from storage import organizations
    from storage.organizations import Organization

    slug = slugify(name, max_length=50)
    if not slug:
        _give_up("The name needs at least one letter or digit.")
    made = Organization(new_id(), slug, name.strip())
    if not organizations.ensure(_wired().db, made):
        _give_up(f"There is an organization {slug!r} already. Choose another name.")
    click.echo(str(made.id))


@cli.command("login-link")
@_organization
@click.option("--role", default="admin", show_default=True, type=click.Choice(["viewer", "author", "admin"]))
def login_link(organization: str, role: str) -> None:
    """Print a link that signs one browser in, once, within 15 minutes."""
    from web.address import url_of
    from web.pages.home import make_login_path

    wired = _wired()
    _asker(organization)
    click.echo(url_of(wired.settings.host, wired.settings.port) + make_login_path(wired, organization, role))


# --- jobs -----------------------------------------------------------------------------------------------------


@cli.group()
def jobs() -> None:
    """See and steer jobs."""


@jobs.command("list")
@_organization
@click.option("--status", type=click.Choice(STATUSES), help="Only jobs with this status.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
def jobs_list(organization: str, status: str | None, limit: int) -> None:
    """The newest jobs, a line each."""
    from storage import jobs as rows

    filters = {"status": status} if status else {}
    for job in rows.newest(_wired().db, _asker(organization).organization_id, filters, None, limit):
        state = f"{job['status']:<11} {job['progress']:5.1f}%"
        click.echo(f"{job['jobId']}  {state}  {job['courseId'] or ''}  {job['progressMessage']}")


@jobs.command("show")
@click.argument("job_id", type=click.UUID)
@_organization
def jobs_show(job_id: UUID, organization: str) -> None:
    """One job, as the API shows it."""
    click.echo(json.dumps(_read(_wired(), organization, job_id), indent=2, ensure_ascii=False))


def _read(wired: Deps, organization: str, job_id: UUID) -> dict[str, Any]:
    from storage import jobs as rows

    job = rows.read(wired.db, _asker(organization).organization_id, job_id)
    if job is None:
        _give_up("There is no such job.")
    return job


@jobs.command("cancel")
@click.argument("job_id", type=click.UUID)
@_organization
@click.option("--reason", default="", help="Why, for the record.")
def jobs_cancel(job_id: UUID, organization: str, reason: str) -> None:
    """Cancel a job, or the pictures a finished one waits for."""
    from tasks.commands import cancel_job

    click.echo(cancel_job(_wired(), _asker(organization), job_id, reason))


@jobs.command("retry")
@click.argument("job_id", type=click.UUID)
@_organization
def jobs_retry(job_id: UUID, organization: str) -> None:
    """Take a job up again from its first unfinished step."""
    from tasks.commands import retry_job

    retry_job(_wired(), _asker(organization), job_id)
    click.echo("It will run again.")


@cli.command()
@_organization
def catalog(organization: str) -> None:
    """The catalog, as JSON."""
    from storage import catalog as rows

    click.echo(json.dumps(rows.whole(_wired().db, _asker(organization).organization_id), indent=2, ensure_ascii=False))


@cli.command()
@click.option("--once", is_flag=True, required=True, help="Run what is due, then end. For cron and by hand.")
def worker(once: bool) -> None:
    """Run due jobs here, straight from the database, without the broker. Exits with 1 when one failed."""
    from tasks.once import run_due

    ran = run_due(_wired())
    click.echo(f"{ran.turns} jobs taken up.")
    for job_id, code in ran.failed.items():
        click.echo(f"Job {job_id} failed: {code}", err=True)
    if ran.failed:
        sys.exit(1)


def main() -> None:
    """The entry point. Our own errors end with one line and code 2."""
    from tasks import logs

    logs.configure("ERROR")  # a command speaks for itself; its standard output may be read by a program
    try:
        cli()
    except CoursewrightError as error:
        _give_up(error.message)


if __name__ == "__main__":
    main()

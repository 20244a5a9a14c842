"""``coursewright ...``: the command line. Exit codes: 0 done, 1 the job failed, 2 bad usage or configuration."""

from __future__ import annotations

import json
import os
import sys

import click

from schema.clock import new_id
from schema.errors import CoursewrightError
from schema.settings import DEMO_ORGANIZATION_ID
from web.cli.access import members, tokens
from web.cli.audit import audit
from web.cli.follow import generate, watch
from web.cli.jobs import jobs, reconcile
from web.cli.wiring import asker, find_system, give_up, home, note, organization_id_of, organization_option, wired


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Coursewright, a course factory."""


# --- everything on this machine -------------------------------------------------------------------------------


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when ready.")
def up(as_json: bool) -> None:
    """Run everything on this machine until Ctrl-C."""
    from web.everything import run

    sys.exit(run(home(), as_json=as_json))


@cli.command()
@click.option(
    "--schools",
    type=click.IntRange(1, 5),
    default=1,
    show_default=True,
    help="For so many schools side by side; each tries to reach what the others made.",
)
def demo(schools: int) -> None:
    """Start everything, have courses made over HTTP, check them, and stop everything."""
    from web.demo import run

    sys.exit(run(home(), schools))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--model", is_flag=True, help="Also ask the model's endpoint for its models. Costs nothing.")
@click.option("--ping/--no-ping", default=True, show_default=True, help="Ask the workers; takes about five seconds.")
def doctor(as_json: bool, model: bool, ping: bool) -> None:
    """Look at everything a running system needs, and say how to mend what is wrong. Exits with 1 on a fault."""
    from web.doctor import run

    embedded = find_system()
    sys.exit(run(os.environ, home(), embedded=embedded, model=model, ping=ping, as_json=as_json))


@cli.command()
@click.argument("url")
@click.option("--token", envvar="AGENT_TOKEN", help="The agent token; AGENT_TOKEN unless given.")
@click.option(
    "--organization", default=DEMO_ORGANIZATION_ID, show_default=True, metavar="ID", help="Whose; the demo school's."
)
@click.option("--within", type=click.FloatRange(1, 3600), default=120, show_default=True, help="Seconds for the job.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(url: str, token: str | None, organization: str, within: float, as_json: bool) -> None:
    """Go through the deployment at URL from outside: ask for a small course and read it everywhere it should be."""
    from web.verify import run

    if not url.startswith(("http://", "https://")):
        give_up(f"{url!r} is not an address. Write it as https://courses.example.org")
    if not token:
        give_up("No token. Set AGENT_TOKEN, or give --token.")
    sys.exit(run(url, token, str(organization_id_of(organization)), within=within, as_json=as_json))


@cli.group()
def db() -> None:
    """The database."""


@db.command()
def upgrade() -> None:
    """Bring the tables up to this version."""
    from storage.postgres.schema_version import upgrade as run

    run(wired().db.engine)
    click.echo("The database is up to date.")


@db.command()
def roles() -> None:
    """Make the roles of the processes, with the passwords in WEB_DATABASE_URL and WORKER_DATABASE_URL."""
    from storage.postgres.role_making import make

    deps = wired()
    found = make(deps.db.engine, (deps.settings.web_database_url, deps.settings.worker_database_url))
    click.echo(f"The roles are there. Passwords were set: {', '.join(found) or 'none'}.")


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
        give_up("The name needs at least one letter or digit.")
    made = Organization(new_id(), slug, name.strip())
    deps = wired()
    if not organizations.ensure(deps.db, made):
        give_up(f"There is an organization {slug!r} already. Choose another name.")
    note(deps, made.id, "organization.made", str(made.id), slug=slug)
    click.echo(str(made.id))


@org.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def org_list(as_json: bool) -> None:
    """All organizations: id, short name and name."""
    from storage import organizations

    found = organizations.everyone(wired().db)
    if as_json:
        shown = [{"id": str(one.id), "slug": one.slug, "name": one.name} for one in found]
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    for one in found:
        click.echo(f"{one.id}  {one.slug}  {one.name}")
    if not found:
        click.echo("There is none yet. Make one with: coursewright org create NAME", err=True)


@cli.command("login-link")
@organization_option
@click.option("--role", default="admin", show_default=True, type=click.Choice(["viewer", "author", "admin"]))
def login_link(organization: str | None, role: str) -> None:
    """Print a link that signs one browser in, once, within 15 minutes."""
    from web.address import url_of
    from web.pages.entrance import make_login_path

    deps = wired()
    whose = asker(deps, organization).organization_id
    note(deps, whose, "session.link_made", role=role)
    click.echo(url_of(deps.settings.host, deps.settings.port) + make_login_path(deps, str(whose), role))


# --- jobs and the catalog ---------------------------------------------------------------------------------------


cli.add_command(tokens)
cli.add_command(members)
cli.add_command(generate)
cli.add_command(watch)
cli.add_command(jobs)
cli.add_command(reconcile)
cli.add_command(audit)


@cli.command()
@organization_option
def catalog(organization: str | None) -> None:
    """The catalog, as JSON."""
    from storage import catalog as rows

    deps = wired()
    found = rows.whole(deps.db, asker(deps, organization).organization_id)
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


@cli.command()
@click.option("--once", is_flag=True, required=True, help="Run what is due, then end. For cron and by hand.")
def worker(once: bool) -> None:
    """Run due jobs here, straight from the database, without the broker. Exits with 1 when one failed."""
    from tasks.once import run_due

    ran = run_due(wired("worker"))
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
        give_up(error.message)

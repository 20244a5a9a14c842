"""``coursewright generate`` and ``coursewright watch``: ask for a course, and see it being made.

Without ``--url`` they work on the system of this machine, whose stream they open with a token of its own; with it on
any deployment, over its API.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from uuid import UUID

import click

from schema.errors import CoursewrightError, Invalid, Unavailable
from schema.settings import DEMO_ORGANIZATION_ID
from web.cli.wiring import asker, asker_of, give_up, organization_id_of, wired

if TYPE_CHECKING:
    from tasks.commands import Asker
    from tasks.deps import Deps
    from web.client import Api, Following

T = TypeVar("T")

#: The exit code after Ctrl-C, as of any command: it says nothing about the job.
BROKEN_OFF = 130

_url_option = click.option("--url", help="Another deployment, such as https://courses.example.org; else this machine.")
_token_option = click.option(
    "--token", envvar="AGENT_TOKEN", help="For --url: its agent token; AGENT_TOKEN unless given."
)
_organization_option = click.option("--organization", metavar="ID", help="Whose; unless given the demo school.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")


@click.command()
@click.argument("job_id", type=click.UUID)
@_organization_option
@_url_option
@_token_option
@_json_option
def watch(job_id: UUID, organization: str | None, url: str | None, token: str | None, as_json: bool) -> None:
    """Follow JOB_ID until it is over. Exits with 1 when it failed or was cancelled."""
    if url:
        api = _api(url, token, organization)
        _answered(lambda: api.job(str(job_id)))  # a wrong address is said at once, not after long patience
        following = api.following(str(job_id))
    else:
        deps = wired()
        following = _here(deps, asker_of(deps, organization, job_id), job_id)
    _follow(following, str(job_id), as_json)


@click.command()
@click.argument("subject", required=False)
@click.option("--exam", metavar="ID", help="Instead of a subject: the exam the course is to be made from.")
@click.option("--grade-band", help="Such as 3-5 or Adults; needed with a subject.")
@click.option("--grade", help="Such as 4.")
@click.option("--mode", type=click.Choice(["options", "numeric"]), help="options unless given.")
@click.option("--title", help="The course's title.")
@click.option("--course-id", help="Makes the next revision of a course that is there.")
@click.option("--items", "items_per_group", type=int, help="Items in each group.")
@click.option("--levels", "levels_count", type=int, help="Levels of the course.")
@click.option("--texts", "study_texts_count", type=int, help="Study texts.")
@click.option("--lessons", "lessons_per_topic", type=int, help="With --exam: lessons for each topic.")
@click.option("--notes", help="Wishes in your own words; they need a model.")
@click.option("--language", help="A language tag such as en or pt-BR.")
@click.option("--visibility", type=click.Choice(["private", "org", "public"]))
@click.option("--tag", "tags", multiple=True, help="A tag; may be given more than once.")
@click.option("--pictures", "generate_study_text_images", is_flag=True, help="Make pictures for the study texts.")
@_organization_option
@_url_option
@_token_option
@_json_option
def generate(
    subject: str | None,
    exam: str | None,
    organization: str | None,
    url: str | None,
    token: str | None,
    as_json: bool,
    **wishes: Any,
) -> None:
    """Ask for a course about SUBJECT, or from an exam, and follow it until it is there."""
    if (subject is None) is (exam is None):
        raise click.UsageError("Name either a subject or --exam.")
    job_type = "course" if exam is None else "exam_course"
    given: dict[str, Any] = {"subject": subject, "mode": "options"} if exam is None else {"exam_id": exam}
    given |= {name: list(wish) if name == "tags" else wish for name, wish in wishes.items() if _is_told(wish)}
    if url:
        api = _api(url, token, organization)
        job_id = _answered(lambda: api.start(job_type, given))
        following = api.following(job_id)
    else:
        deps = wired()
        whose = asker(deps, organization)
        started = _start_here(deps, whose, job_type, given)
        job_id, following = str(started), _here(deps, whose, started)
    _follow(following, job_id, as_json)


def _is_told(wish: Any) -> bool:
    """Whether an option was given. A 0 or an empty text was, and is refused where it can't be."""
    return wish is not None and wish is not False and wish != ()


# --- where it runs ----------------------------------------------------------------------------------------------


def _api(url: str, token: str | None, organization: str | None) -> Api:
    from web.client import Api

    if not url.startswith(("http://", "https://")):
        give_up(f"{url!r} is not an address. Write it as https://courses.example.org")
    if not token:
        give_up("No token. Set AGENT_TOKEN, or give --token.")
    whose = str(organization_id_of(organization or DEMO_ORGANIZATION_ID))
    return Api(url.rstrip("/"), {"X-Agent-Token": token, "X-Organization-Id": whose})


def _here(deps: Deps, whose: Asker, job_id: UUID) -> Following:
    """A job of this machine's system. Its rows are read as they are, where the stream is not to be had."""
    from storage import events, jobs
    from storage.people.grounds import Grounds
    from tasks.estimates import seconds_left
    from web.address import url_of
    from web.client import Away, Event, Following
    from web.identity.agents import mark_of_commands
    from web.streams import token

    organization_id = whose.organization_id
    grounds = Grounds(organization_id, mark=mark_of_commands(deps))
    made = token.make(deps.settings.signing_keys, grounds, job_id)
    url = f"{url_of(deps.settings.host, deps.settings.port)}/api/jobs/{job_id}/stream?token={made}"

    def look() -> dict[str, Any]:
        try:
            job = jobs.read(deps.db, organization_id, job_id, seconds_left(deps, organization_id))
        except Unavailable as error:
            raise Away(error.message) from error
        if job is None:
            give_up("There is no such job.")
        return job

    def poll(after: int) -> list[Event]:
        try:
            return events.after(deps.db, organization_id, job_id, after)
        except Unavailable as error:
            raise Away(error.message) from error

    return Following(url, {}, look, poll)


def _start_here(deps: Deps, whose: Asker, job_type: str, payload: dict[str, Any]) -> UUID:
    from schema.job import load_new_job
    from tasks.commands import start_job

    try:
        return start_job(deps, whose, load_new_job({"jobType": job_type, "payload": payload})).job_id
    except Invalid as error:
        give_up("\n".join(f"{fault.path}: {fault.message}" for fault in error.errors))
    except CoursewrightError as error:
        give_up(error.message)


def _answered(ask: Callable[[], T]) -> T:
    from web.client import Away, Refused

    try:
        return ask()
    except (Away, Refused) as error:
        give_up(str(error))
    except KeyboardInterrupt:
        click.echo("Broken off before an answer came. What was asked for: coursewright jobs list", err=True)
        sys.exit(BROKEN_OFF)


# --- what is seen -----------------------------------------------------------------------------------------------


def _follow(following: Following, job_id: str, as_json: bool) -> NoReturn:
    """Show the job until it is over, and exit as it ended."""
    from web.client import Away, Refused

    try:
        if as_json:
            for event in following.events():
                click.echo(json.dumps(event, ensure_ascii=False))
        else:
            _draw(following, job_id)
        job = following.outcome()
    except (Away, Refused) as error:
        give_up(f"{error} See later how it went: coursewright watch {job_id}")
    except KeyboardInterrupt:
        click.echo(f"The job goes on by itself. See it again with: coursewright watch {job_id}", err=True)
        sys.exit(BROKEN_OFF)
    if not as_json:
        _report(job)
    sys.exit(0 if job["status"] == "done" else 1)


def _draw(following: Following, job_id: str) -> None:
    from rich.console import Console

    from web.cli.progress import Screen
    from web.client import Away

    with Screen(Console(highlight=False), following, f"Job {job_id[:8]}") as screen:
        for event in following.events():
            screen.show(event)
            if screen.wants_left():
                try:
                    screen.tell_left(following.look())
                except Away:
                    continue  # the next event asks again


def _report(job: dict[str, Any]) -> None:
    if job["status"] == "done":
        click.echo(f"Done: course {job['courseId']} ({job['resultPath']}). {job['progressMessage']}.")
        return
    error = job["error"]
    click.echo(f"Job {job['jobId']} is {job['status']}: {error['message'] if error else job['cancellationReason']}")
    if job["status"] != "cancelled" and error:
        click.echo(f"  code {error['code']}, at the step {error['step']}")
    click.echo(f"Take it up again with: coursewright jobs retry {job['jobId']}")

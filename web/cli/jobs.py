"""``coursewright jobs ...`` and ``coursewright reconcile``: seeing and steering jobs from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from schema.job import OLDER_JOB_TYPES, RETRYABLE, STATUSES
from web.cli.wiring import asker_of, askers, everyone_option, give_up, note, of_job_option, organization_option, wired

if TYPE_CHECKING:
    from tasks.admin import Requeued
    from tasks.commands import Asker
    from tasks.deps import Deps

_job_argument = click.argument("job_id", type=click.UUID)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _print(shown: Any) -> None:
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False))


@click.group()
def jobs() -> None:
    """See and steer jobs."""


@jobs.command("list")
@organization_option
@everyone_option
@click.option("--status", type=click.Choice(STATUSES), help="Only jobs with this status.")
@click.option("--batch", type=click.UUID, help="Only jobs of this batch.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@_json_option
def list_jobs(
    organization: str | None, everyone: bool, status: str | None, batch: UUID | None, limit: int, as_json: bool
) -> None:
    """The newest jobs, a line each."""
    from storage import jobs as rows
    from tasks.estimates import seconds_left

    filters = {"status": status} if status else {}
    if batch:
        filters["batch_id"] = str(batch)
    deps, found = wired(), list[dict[str, Any]]()
    for asker in askers(deps, organization, everyone):
        whose = {"organizationId": str(asker.organization_id)} if everyone else {}
        left = seconds_left(deps, asker.organization_id)
        found += [whose | job for job in rows.newest(deps.db, asker.organization_id, filters, None, limit, left)]
    found = sorted(found, key=itemgetter("_position"), reverse=True)[:limit]
    if as_json:
        _print([{key: value for key, value in job.items() if key != "_position"} for job in found])
        return
    for job in found:
        whose_line = f"{job['organizationId']}  " if everyone else ""
        state = f"{job['status']:<11} {job['progress']:5.1f}%"
        click.echo(f"{whose_line}{job['jobId']}  {state}  {job['courseId'] or ''}  {job['progressMessage']}")


@jobs.command()
@_job_argument
@of_job_option
@_json_option
def show(job_id: UUID, organization: str | None, as_json: bool) -> None:
    """One job: how it stands, every attempt that failed, who holds it, what it has kept."""
    from storage import jobs as rows
    from storage.engine import attempts
    from tasks.estimates import seconds_left

    deps = wired()
    db, organization_id = deps.db, asker_of(deps, organization, job_id).organization_id
    job = rows.read(db, organization_id, job_id, seconds_left(deps, organization_id))
    if job is None:
        give_up("There is no such job.")
    seen = attempts.inspect(db, organization_id, job_id)
    if as_json:
        whose = {"organizationId": str(organization_id)}
        _print({**whose, "job": job, "canResume": job["status"] in RETRYABLE, **seen})
        return
    for line in (*_standing(job, organization_id), *_history(seen)):
        click.echo(line)


def _standing(job: dict[str, Any], organization_id: UUID) -> Iterator[str]:
    yield f"{job['jobId']}  {job['jobType']}  {job['status']}"
    facts = {
        "whose": str(organization_id),
        "course": job["courseId"],
        "parent": job["parentJobId"],
        "step": f"{job['currentStep']} ({job['currentStepIndex'] + 1} of {job['totalSteps']}), {job['progress']}%",
        "says": job["progressMessage"],
        "time left": None if job["estimatedSecondsLeft"] is None else f"about {job['estimatedSecondsLeft']:.0f} s",
        "run": f"{job['runNumber']}; {job['retryCount']} of {job['maxRetries']} retries used",
        "waits": f"for {job['mediaPending']} pictures" if job["mediaPending"] else None,
        "created": " by ".join(filter(None, (job["createdAt"], job["createdBy"]))),
        "begun": job["startedAt"],
        "ended": job["completedAt"] or job["cancelledAt"],
        "next try": job["nextRunAt"],
        "cancelled": job["cancellationReason"],
        "error": f"{job['error']['code']}: {job['error']['message']}" if job["error"] else None,
    }
    for name, fact in facts.items():
        if fact:
            yield f"  {name:<10} {fact}"


def _history(seen: dict[str, Any]) -> Iterator[str]:
    if seen["attempts"]:
        yield "Attempts that failed"
    for tried in seen["attempts"]:
        run = f"run {tried['run']}" if tried["run"] else ""
        yield (
            f"  {tried['attempt']:>3}  {run:<7} {tried['at']}  {tried['step'] or '':<9} {tried['error']['code']}: "
            f"{tried['error']['message']}"
        )
    if seen["lease"]:
        yield "At work"
        yield "  {step} by {holder}; last beat {heartbeatAt}, last progress {progressAt}".format_map(seen["lease"])
    if seen["checkpoints"]:
        yield "Kept"
    for kept in seen["checkpoints"]:
        name = " ".join(filter(None, (kept["step"], kept["part"])))
        yield f"  {name:<30} run {kept['run']}  {kept['seconds']:8.2f} s  {kept['createdAt']}"


@jobs.command()
@_job_argument
@of_job_option
@click.option("--reason", default="", help="Why, for the record.")
def cancel(job_id: UUID, organization: str | None, reason: str) -> None:
    """Cancel a job, or the pictures a finished one waits for."""
    from tasks.commands import cancel_job

    deps = wired()
    click.echo(cancel_job(deps, asker_of(deps, organization, job_id), job_id, reason))


@jobs.command()
@_job_argument
@of_job_option
def retry(job_id: UUID, organization: str | None) -> None:
    """Take a job up again from its first unfinished step."""
    from tasks.commands import retry_job

    deps = wired()
    retry_job(deps, asker_of(deps, organization, job_id), job_id)
    click.echo("It will run again.")


@jobs.command()
@click.argument("job_id", type=click.UUID, required=False)
@click.option("--organization", metavar="ID", help="Whose; of dead letters the demo school's, where there is one.")
@everyone_option
@click.option("--dead-letters", is_flag=True, help="Many at once: dead letters, the oldest first.")
@click.option("--code", help="Of those, only the ones that ended with this error.")
@click.option("--job-type", help="Of those, only jobs of this kind.")
@click.option("--limit", type=click.IntRange(1, 500), help="At most so many of those; 100 unless given.")
@_json_option
def requeue(
    job_id: UUID | None,
    organization: str | None,
    everyone: bool,
    dead_letters: bool,
    code: str | None,
    job_type: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Take up JOB_ID again, or many dead letters. Exits with 1 when one of those was refused."""
    from tasks.commands import retry_job

    if dead_letters is (job_id is not None):
        raise click.UsageError("Name a job, or say --dead-letters.")
    deps = wired()
    if job_id is None:
        kind = OLDER_JOB_TYPES.get(job_type, job_type) if job_type else None
        _requeue_many(deps, askers(deps, organization, everyone), everyone, code, kind, limit or 100, as_json)
        return
    if everyone or code or job_type or limit or as_json:
        raise click.UsageError("The other options choose among dead letters: say --dead-letters, and name no job.")
    retry_job(deps, asker_of(deps, organization, job_id), job_id)
    click.echo("It will run again.")


def _requeue_many(
    deps: Deps, whose: list[Asker], everyone: bool, code: str | None, kind: str | None, limit: int, as_json: bool
) -> None:
    from tasks.admin import requeue_dead_letters

    found: list[tuple[str, Requeued]] = []
    for asker in whose:
        if len(found) < limit:
            outcomes = requeue_dead_letters(deps, asker, code=code, job_type=kind, limit=limit - len(found))
            found += [(str(asker.organization_id), outcome) for outcome in outcomes]
    if as_json:
        _print([({"organizationId": owner} if everyone else {}) | outcome.as_json() for owner, outcome in found])
    elif not found:
        click.echo("There is no such dead letter." if code or kind else "There are no dead letters.")
    else:
        for owner, outcome in found:
            told = outcome.error.message if outcome.error else "It will run again."
            click.echo(f"{owner + '  ' if everyone else ''}{outcome.job_id}  {told}")
    if any(outcome.error for _, outcome in found):
        sys.exit(1)


@jobs.command("dead-letter")
@_job_argument
@of_job_option
def dead_letter(job_id: UUID, organization: str | None) -> None:
    """Put a job that failed or went stale among the dead letters."""
    from tasks.admin import make_dead_letter

    deps = wired()
    make_dead_letter(deps, asker_of(deps, organization, job_id), job_id)
    click.echo("It is a dead letter now, and is kept until somebody requeues or deletes it.")


@jobs.command("mark-stale")
@_job_argument
@of_job_option
def mark_stale(job_id: UUID, organization: str | None) -> None:
    """Take a job out of its worker's hands. Within seconds the reconciler gives it a new run, which costs one of its
    retries; with none left the job becomes a dead letter."""
    from tasks.admin import mark_stale as mark

    deps = wired()
    mark(deps, asker_of(deps, organization, job_id), job_id)
    click.echo("It is stale now. The reconciler takes it up within seconds, for one of its retries.")


@jobs.command()
@_job_argument
@of_job_option
def delete(job_id: UUID, organization: str | None) -> None:
    """Let a job go that ended badly. What it saved stays."""
    from tasks.admin import delete_job

    deps = wired()
    delete_job(deps, asker_of(deps, organization, job_id), job_id)
    click.echo("It is deleted. Its courses and pictures stay.")


@click.command()
@_json_option
def reconcile(as_json: bool) -> None:
    """Find and correct drift now: among the rows, and between rows and store."""
    from tasks.admin import reconcile_now

    deps = wired()
    corrected = reconcile_now(deps)
    note(deps, None, "admin.reconciled")
    if as_json:
        _print(corrected)
    elif not corrected:
        click.echo("Nothing to correct.")
    else:
        for kind, number in corrected.items():
            click.echo(f"{number:>5}  {kind}")

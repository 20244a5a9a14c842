"""Commands on jobs where several organizations live: an alarm names none, and there may be no demo school."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from schema.clock import new_id
from tasks.commands import Asker
from tasks.deps import Deps
from tests.conftest import use
from tests.integration.stage import change, held, job, put_job, rows, school
from web.cli import cli

Run = Callable[..., Result]


@pytest.fixture
def run(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``coursewright ...`` against this test's database."""
    monkeypatch.setenv("DATABASE_URL", deps.settings.database_url)
    use(deps)
    return lambda *words: CliRunner().invoke(cli, list(map(str, words)))


@pytest.fixture
def elsewhere(deps: Deps) -> Asker:
    """Somebody of a school that is not the demo school, which is not there."""
    change(deps, "DELETE FROM catalogs")
    change(deps, "DELETE FROM organizations")
    return school(deps)


def dead(deps: Deps, asker: Asker, code: str = "worker_lost", **more: Any) -> UUID:
    job_id = put_job(deps, asker.organization_id, **more)
    ended = "status = 'dead_letter', due_at = NULL, completed_at = clock_timestamp()"
    change(deps, f"UPDATE jobs SET {ended}, error = :error WHERE id = :id", id=job_id, error=json.dumps({"code": code}))
    return job_id


def test_a_job_is_found_by_its_id_alone(deps: Deps, elsewhere: Asker, run: Run) -> None:
    job_id = put_job(deps, elsewhere.organization_id)
    held(deps, job_id)
    assert str(elsewhere.organization_id) in run("jobs", "show", job_id).stdout
    read = json.loads(run("jobs", "show", job_id, "--json").stdout)
    assert (read["organizationId"], read["job"]["jobId"]) == (str(elsewhere.organization_id), str(job_id))
    for words, status in (
        (("mark-stale", job_id), "stale"),
        (("dead-letter", job_id), "dead_letter"),
        (("requeue", job_id), "pending"),
        (("cancel", job_id), "cancelled"),
        (("retry", job_id), "pending"),
        (("cancel", job_id), "cancelled"),
    ):
        assert run("jobs", *words).exit_code == 0, words
        assert job(deps, job_id).status == status
    assert run("jobs", "delete", job_id).exit_code == 0


def test_a_job_of_another_organization_than_the_named_one_is_not_there(deps: Deps, asker: Asker, run: Run) -> None:
    job_id = put_job(deps, asker.organization_id)
    ran = run("jobs", "show", job_id, "--organization", school(deps).organization_id)
    assert (ran.exit_code, ran.stderr) == (2, "coursewright: There is no such job.\n")
    assert run("jobs", "show", job_id, "--organization", asker.organization_id).exit_code == 0
    assert run("jobs", "show", new_id()).stderr == "coursewright: There is no such job.\n"


def test_jobs_of_everybody_are_listed_newest_first_with_whose_they_are(deps: Deps, asker: Asker, run: Run) -> None:
    other = school(deps)
    mine, theirs, mine_again = (put_job(deps, who.organization_id) for who in (asker, other, asker))
    lines = [line.split()[:2] for line in run("jobs", "list", "--all-organizations").stdout.splitlines()]
    assert lines == [
        [str(asker.organization_id), str(mine_again)],
        [str(other.organization_id), str(theirs)],
        [str(asker.organization_id), str(mine)],
    ]
    shown = json.loads(run("jobs", "list", "--all-organizations", "--limit", 2, "--json").stdout)
    assert [(one["organizationId"], one["jobId"]) for one in shown] == [tuple(line) for line in lines[:2]]
    assert [line.split()[0] for line in run("jobs", "list").stdout.splitlines()] == [str(mine_again), str(mine)]
    both = run("jobs", "list", "--all-organizations", "--organization", other.organization_id)
    assert both.exit_code == 2


def test_dead_letters_of_everybody_are_requeued(deps: Deps, asker: Asker, run: Run) -> None:
    other = school(deps)
    letters = {str(who.organization_id): str(dead(deps, who)) for who in (asker, other)}
    assert run("jobs", "requeue", "--dead-letters", "--all-organizations", "--code", "timeout").stdout == (
        "There is no such dead letter.\n"
    )
    ran = run("jobs", "requeue", "--dead-letters", "--all-organizations", "--limit", 1)
    assert len(ran.stdout.splitlines()) == 1
    ran = run("jobs", "requeue", "--dead-letters", "--all-organizations", "--json")
    [told] = json.loads(ran.stdout)
    assert (told["requeued"], letters[told["organizationId"]]) == (True, told["jobId"])
    assert {row.status for row in rows(deps, "SELECT status FROM jobs")} == {"pending"}
    assert run("jobs", "requeue", "--dead-letters", "--all-organizations").stdout == "There are no dead letters.\n"


def test_dead_letters_are_chosen_by_an_older_name_of_their_kind_too(deps: Deps, asker: Asker, run: Run) -> None:
    letter = dead(deps, asker)
    assert run("jobs", "requeue", "--dead-letters", "--job-type", "media").stdout == "There is no such dead letter.\n"
    ran = run("jobs", "requeue", "--dead-letters", "--job-type", "ai_course_generate")
    assert ran.stdout == f"{letter}  It will run again.\n"


@pytest.mark.parametrize(
    "words", [("--code", "timeout"), ("--job-type", "course"), ("--limit", 100), ("--all-organizations",), ("--json",)]
)
def test_what_chooses_among_dead_letters_is_wrong_usage_beside_a_job(
    deps: Deps, asker: Asker, run: Run, words: tuple[object, ...]
) -> None:
    letter = dead(deps, asker)
    refused = run("jobs", "requeue", letter, *words)
    assert refused.exit_code == 2 and "--dead-letters" in refused.stderr
    assert job(deps, letter).status == "dead_letter"


@pytest.mark.parametrize(
    "words", [("jobs", "list"), ("jobs", "requeue", "--dead-letters"), ("catalog",), ("login-link",)]
)
def test_without_a_demo_school_a_command_asks_whose(
    deps: Deps, elsewhere: Asker, run: Run, words: tuple[str, ...]
) -> None:
    refused = run(*words)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "Say whose with --organization ID." in refused.stderr and "coursewright org list" in refused.stderr
    unknown = run(*words, "--organization", new_id())
    assert unknown.exit_code == 2 and "There is no such organization." in unknown.stderr
    assert run(*words, "--organization", elsewhere.organization_id).exit_code == 0


def test_organizations_are_listed(deps: Deps, elsewhere: Asker, run: Run) -> None:
    [line] = run("org", "list").stdout.splitlines()
    slug = f"school-{elsewhere.organization_id.hex[:8]}"
    assert line == f"{elsewhere.organization_id}  {slug}  Another school"
    [shown] = json.loads(run("org", "list", "--json").stdout)
    assert shown == {"id": str(elsewhere.organization_id), "slug": slug, "name": "Another school"}
    change(deps, "DELETE FROM catalogs")
    change(deps, "DELETE FROM organizations")
    assert run("org", "list").stderr.startswith("There is none yet.")

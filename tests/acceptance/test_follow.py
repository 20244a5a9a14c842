"""The command line beside a running system: a course asked for, followed live, and seen again."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.acceptance.conftest import COMMAND, ROOT, System, environment_for


def run(system: System, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """A command of this machine, with the events it printed."""
    done = subprocess.run(
        [*COMMAND, *words, "--json"],
        cwd=ROOT,
        env={**environment_for(system.home), "AGENT_TOKEN": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_course_is_asked_for_and_followed_to_its_end(system: System) -> None:
    code, seen = run(system, "generate", "The water cycle", "--grade-band", "3-5", "--grade", "4", "--pictures")
    assert code == 0
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert (seen[0]["type"], seen[-1]["type"]) == ("job_created", "media_settled"), "pictures belong to it"
    job_id = seen[0]["jobId"]
    job = system.job(job_id)
    assert (job["status"], job["progress"], job["payload"]["generateStudyTextImages"]) == ("done", 100, True)
    partial = system.call("GET", f"/api/jobs/{job_id}/partial").json()
    assert (partial["status"], partial["finished"]) == ("done", partial["total"])
    assert all(group["items"] for group in partial["groups"])
    assert run(system, "watch", job_id) == (0, seen)

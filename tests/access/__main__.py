"""``make fuzz``: schemathesis for a long time, as everybody, against a whole system of its own. Ends with 1 when it
finds a fault, and says how to send that request again."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.acceptance.conftest import COMMAND, ROOT, System, environment_for, running
from tests.access.fuzzing import Found, examine
from tests.access.people import JWT_SECRET, bearer

_EXAMPLES = 100_000
_FAULTY = ("Traceback", "request_crashed")


def main() -> int:
    given = argparse.ArgumentParser(prog="make fuzz")
    given.add_argument("--seconds", type=float, default=300, help="for how long, for everybody together")
    given.add_argument("--seed", type=int, default=None)
    asked = given.parse_args()
    seed = asked.seed if asked.seed is not None else random.randrange(10**6)
    print(f"SEED={seed}", flush=True)
    settings = {"JWT_SECRET": JWT_SECRET, "USER_JOBS_PER_HOUR": "100000", "STREAMS_PER_IDENTITY": "10000"}
    with running(**settings) as system:
        people = _people(system)
        found = {name: _asked_as(system, name, headers, asked.seconds / len(people), seed) for name, headers in people}
        crashes = _crashes(system.home)
    for name, one in found.items():
        for fault, told in one.faults.items():
            print(f"\n{name}: {' | '.join(fault)}\n{told}")
    print("".join(f"\nIn the logs: {line}" for line in crashes))
    requests, faults = sum(one.requests for one in found.values()), sum(len(one.faults) for one in found.values())
    operations = len(set[str]().union(*(one.operations for one in found.values())))
    print(f"{requests} requests to {operations} operations as {len(found)} identities, {faults} kinds of faults")
    return 1 if faults or crashes else 0


def _asked_as(system: System, name: str, headers: Mapping[str, str], seconds: float, seed: int) -> Found:
    found = examine(system.url, headers, examples=_EXAMPLES, seconds=seconds, seed=seed)
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(Counter(found.statuses).items()))
    print(f"{name}: {found.requests} requests, {len(found.faults)} kinds of faults ({statuses})", flush=True)
    return found


def _people(system: System) -> list[tuple[str, Mapping[str, str]]]:
    """Everybody's headers. Both organizations have a course."""
    other = _other_organization(system)
    for organization in (system.organization, other):
        payload = {"subject": "Addition", "gradeBand": "2", "mode": "numeric"}
        headers = {"X-Organization-Id": organization}
        answer = system.call("POST", "/api/jobs", {"jobType": "course", "payload": payload}, headers=headers)
        assert answer.status == 202, answer.data
    roles = ("viewer", "author", "admin")
    own = [(role, bearer(f"{role}@example.org", org=system.organization, role=role)) for role in roles]
    others = bearer("admin@example.com", org=other, role="admin")
    return [("anonymous", {}), *own, ("agent", system.headers()), ("other organization", others)]


def _other_organization(system: System) -> str:
    made = subprocess.run(
        [*COMMAND, "org", "create", "Another school"],
        cwd=ROOT,
        env=environment_for(system.home),
        capture_output=True,
        text=True,
        check=True,
    )
    return made.stdout.split()[-1]


def _crashes(home: Path) -> list[str]:
    """What the system's logs tell of errors nobody foresaw."""
    written = [line for path in home.glob("**/*.log") for line in path.read_text(errors="replace").splitlines()]
    return [line[:2000] for line in written if any(word in line for word in _FAULTY)]


if __name__ == "__main__":
    sys.exit(main())

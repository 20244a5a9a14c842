"""What must hold of the running processes and servers when everything has settled, and after they were stopped."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator

from tests.chaos.system import System, until

QUEUES = ("course", "media", "control")
#: Where messages lie: a list for each queue and priority, ``media`` say, or ``media``, a mark and the priority.
_LISTS = [queue + line for queue in QUEUES for line in ("", *(f"\x06\x16{number}" for number in range(1, 10)))]
#: A process has at most eight connections. Under one name there are at most six processes: worker, worker2, control,
#: media and the two of its pool.
_MOST = 6 * 8
_OURS = "coursewright-"


def queues_are_empty(system: System) -> Iterator[str]:
    """Nothing waits on the broker. Beat's ticks come and go, so it is looked at a few times."""
    lengths: dict[str, int] = {}

    def look() -> bool:
        lengths.update({name: int(system.redis.llen(name)) for name in _LISTS})
        return not any(lengths.values())

    if not until(look, 15):
        yield f"messages are left: { {name: length for name, length in lengths.items() if length} }"


def connections_are_ours_and_few(system: System) -> Iterator[str]:
    """Only our processes are connected, each with no more connections than it may have."""
    names = Counter(name for (name,) in system.rows(_CONNECTED))
    for name, count in names.items():
        if count > _MOST or not (name.startswith(_OURS) or name == "chaos"):
            yield f"{count} connections of {name or 'somebody without a name'}"


def nobody_sits_in_a_transaction(system: System) -> Iterator[str]:
    """No session sits idle in a transaction for more than a second, looked at twice: on a machine with much else to do
    a process may be kept waiting in the middle of one, but not for ever."""
    before = {row[:3] for row in system.rows(_IDLE)}
    time.sleep(1.5)
    for row in system.rows(_IDLE):
        if row[:3] in before:
            yield f"{row[0]} ({row[1]}) sits idle in a transaction since {row[2]} after {row[3]}"


def everything_runs(system: System) -> Iterator[str]:
    """The supervisor has given up on nothing."""
    until(lambda: not system.down(), 20)
    yield from (f"{name} is not running" for name in system.down())


def longest_backoffs(system: System) -> dict[str, float]:
    """The longest wait before a restart, by process, in seconds, as the supervisor told it."""
    longest: dict[str, float] = {}
    for line in system.words("up.log"):
        if told := re.match(r"(\w+) ended with code .*; starting it again in ([\d.]+) s\.", line):
            longest[told[1]] = max(longest.get(told[1], 0.0), float(told[2]))
    return longest


CHECKS = {
    "every process runs": everything_runs,
    "the broker's queues are empty": queues_are_empty,
    "only known connections, and few": connections_are_ours_and_few,
    "nobody sits idle in a transaction": nobody_sits_in_a_transaction,
}

_CONNECTED = """SELECT application_name FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"""
_IDLE = """SELECT application_name, pid, xact_start, left(query, 120) FROM pg_stat_activity
WHERE state LIKE 'idle in transaction%' AND clock_timestamp() - state_change > interval '1 second'"""

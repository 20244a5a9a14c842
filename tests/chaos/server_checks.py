"""What must hold of the running processes and servers when everything has settled, and after they were stopped."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator

from tests.chaos.connections import Connected, of_postgres, of_valkey
from tests.chaos.system import System, until

QUEUES = ("course", "media", "control")
#: Where messages lie: a list for each queue and priority, ``media`` say, or ``media``, a mark and the priority.
_LISTS = [queue + line for queue in QUEUES for line in ("", *(f"\x06\x16{number}" for number in range(1, 10)))]
#: The largest pool of connections a process has (storage.db.make_engine).
POOL = 8
#: What a process has at most with Valkey: a pool of eight to send with (celeryconfig.py), each with a second socket
#: that it was tried with, and eight to fetch, to acknowledge, to be asked, to tell events and to wake with.
WITH_VALKEY = 2 * 8 + 8
#: How long is looked on until what comes and goes has gone, in seconds.
_PATIENCE = 15.0


def queues_are_empty(system: System, patience: float = _PATIENCE) -> Iterator[str]:
    """Nothing waits on the broker. Beat's ticks come and go, so it is looked at a few times."""
    lengths: dict[str, int] = {}

    def look() -> bool:
        lengths.update({name: int(system.redis.llen(name)) for name in _LISTS})
        return not any(lengths.values())

    if not until(look, patience):
        yield f"messages are left: { {name: length for name, length in lengths.items() if length} }"


def database_connections_are_ours(system: System, patience: float = _PATIENCE) -> Iterator[str]:
    """Each connection to Postgres has a living process of ours at its other end, and no process more than its pool."""
    yield from _at_last(lambda: _strange(of_postgres(system), POOL), patience)


def broker_connections_are_ours(system: System, patience: float = _PATIENCE) -> Iterator[str]:
    """The same of Valkey."""
    yield from _at_last(lambda: _strange(of_valkey(system), WITH_VALKEY), patience)


def _strange(connections: list[Connected], most: int) -> list[str]:
    found = [f"{one.name or 'no name'}: its process ({one.pid}) is not ours" for one in connections if not one.is_ours]
    for pid, count in Counter(one.pid for one in connections if one.is_ours).items():
        if count > most:
            found.append(f"process {pid} has {count} connections, {most} at most")
    return found


def _at_last(look: Callable[[], list[str]], patience: float) -> list[str]:
    """What is still found after a while: between two looks, at server and kernel, a connection may come or go."""
    found: list[str] = []

    def is_clean() -> bool:
        found[:] = look()
        return not found

    until(is_clean, patience)
    return found


def nobody_sits_in_a_transaction(system: System, patience: float = 1.5) -> Iterator[str]:
    """No session sits idle in a transaction for more than a second, looked at twice: on a machine with much else to do
    a process may be kept waiting in the middle of one, but not for ever."""
    before = {row[:3] for row in system.rows(_IDLE)}
    time.sleep(patience)
    for row in system.rows(_IDLE):
        if row[:3] in before:
            yield f"{row[0]} ({row[1]}) sits idle in a transaction since {row[2]} after {row[3]}"


def everything_runs(system: System, patience: float = _PATIENCE) -> Iterator[str]:
    """The supervisor has given up on nothing, and the second worker runs."""
    until(lambda: not system.down(), patience)
    yield from (f"{name} is not running" for name in system.down())


def longest_backoffs(system: System) -> dict[str, float]:
    """The longest wait before a restart, by process, in seconds, as the supervisor told it."""
    longest: dict[str, float] = {}
    for line in system.words("up.log"):
        if told := re.match(r"(\w+) ended with code .*; starting it again in ([\d.]+) s\.", line):
            longest[told[1]] = max(longest.get(told[1], 0.0), float(told[2]))
    return longest


def ended_by_themselves(system: System) -> Counter[str]:
    """Processes that ended otherwise than by a fault or as they were told to, as the supervisor told it."""
    told = (re.match(r"(\w+) ended with code (-?\d+)", line) for line in system.words("up.log"))
    return Counter(f"{one[1]} with code {one[2]}" for one in told if one and one[2] not in ("0", "-9"))


CHECKS = {
    "every process runs": everything_runs,
    "the broker's queues are empty": queues_are_empty,
    "connections to Postgres are ours, and few": database_connections_are_ours,
    "connections to Valkey are ours, and few": broker_connections_are_ours,
    "nobody sits idle in a transaction": nobody_sits_in_a_transaction,
}

_IDLE = """SELECT application_name, pid, xact_start, left(query, 120) FROM pg_stat_activity
WHERE state LIKE 'idle in transaction%' AND clock_timestamp() - state_change > interval '1 second'"""

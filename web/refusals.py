"""Refused logins and refused access, as many as somebody may want to read: a flood leaves its number, not its lines."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import Counter
from collections.abc import Callable
from uuid import UUID

from schema.audit import By, Deed

#: In this many seconds each address leaves so many entries, and all of them together so many, in each process.
WINDOW_SECONDS = 60.0
EACH, ALL = 5, 300
#: So many addresses are told apart; what comes from more is counted together.
_ADDRESSES = 10_000
#: So many lines that count are written at the end of a window.
_LINES = 100


class Refusals:
    """Hands what is to be written to ``write``. ``later`` calls a function after so many seconds."""

    def __init__(
        self,
        write: Callable[[Deed], None],
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], None] | None = None,
    ) -> None:
        self._write, self._clock, self._later = write, clock, later or _after
        self._lock = threading.Lock()
        self._began = clock()
        self._seen: Counter[str] = Counter()
        self._more: Counter[tuple[str, UUID | None, str]] = Counter()

    def meet(self, deed: Deed) -> None:
        """Write it, or count it when its address has had its share."""
        left = self._turn_over(only_when_due=True)
        self._write_counted(left)
        group = group_of((deed.by or By()).address)
        with self._lock:
            if group not in self._seen and len(self._seen) >= _ADDRESSES:
                group = "others"
            self._seen[group] += 1
            written = self._seen[group] <= EACH and self._seen.total() - self._more.total() <= ALL
            if not written:
                if not self._more:
                    self._later(WINDOW_SECONDS, lambda: self._write_counted(self._turn_over(only_when_due=False)))
                self._more[group, deed.organization_id, deed.action] += 1
        if written:
            self._write(deed)

    def _turn_over(self, *, only_when_due: bool) -> Counter[tuple[str, UUID | None, str]]:
        """Begin a new window. Returns what was only counted in the old one."""
        with self._lock:
            if only_when_due and self._clock() - self._began < WINDOW_SECONDS:
                return Counter()
            left, self._more = self._more, Counter()
            self._seen = Counter()
            self._began = self._clock()
            return left

    def _write_counted(self, left: Counter[tuple[str, UUID | None, str]]) -> None:
        for (group, organization_id, action), count in left.most_common(_LINES):
            self._write(Deed(organization_id, action, details={"more": count}, by=By("unknown", address=group)))


def group_of(address: str | None) -> str:
    """Who counts as one: an address; of IPv6, where everybody has very many, its network."""
    try:
        read = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(read, ipaddress.IPv6Address):
        return str(read.ipv4_mapped) if read.ipv4_mapped else f"{ipaddress.ip_network((read, 64), strict=False)}"
    return str(read)


def _after(seconds: float, do: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, do)
    timer.daemon = True
    timer.start()

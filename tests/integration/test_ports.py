"""Ports for the embedded servers: two systems that start side by side don't choose the same, and no connection of
somebody's takes one while its server restarts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from storage.processes import free_port

ROOT = Path(__file__).parents[2]
_ANOTHER = """
import sys
from storage.processes import free_port
print(free_port(int(sys.argv[1])), flush=True)
sys.stdin.read()
"""


def test_a_preferred_port_is_kept_from_other_systems() -> None:
    preferred = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", _ANOTHER, str(preferred)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as another:
        assert another.stdout is not None
        assert int(another.stdout.readline()) == preferred
        # A system in a process of its own: this one has given that port out before, so it may have it again.
        third = [sys.executable, "-c", _ANOTHER, str(preferred)]
        asked = subprocess.run(third, cwd=ROOT, input="", capture_output=True, text=True, check=True)
        assert int(asked.stdout) != preferred, "nobody listens there yet, but it is given out"
        another.communicate()
    asked = subprocess.run(third, cwd=ROOT, input="", capture_output=True, text=True, check=True)
    assert int(asked.stdout) == preferred, "its holder is gone"


def test_free_ports_are_not_those_of_outgoing_connections() -> None:
    told = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(told.read_text().split()[0]) if told.exists() else 32_768
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert first <= 20_000 or all(20_000 <= port < first for port in ports)

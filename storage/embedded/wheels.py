"""Where the servers' Python packages are, and the ports the servers take when those are free."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from storage.processes import StartFailed

PREFERRED_PORTS = {"postgres": 15432, "valkey": 16379, "s3": 18333}


def package(name: str) -> Path:
    """The folder of an installed package. Raises ``StartFailed`` when it is missing."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise StartFailed(f"The package {name} is missing. Run: make setup")
    return Path(spec.origin).parent

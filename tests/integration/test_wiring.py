"""A process is wired once, however many threads of it begin at the same moment."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from schema.settings import settings
from tasks import deps as wiring
from tasks.deps import Deps, wire

THREADS = 16


@pytest.fixture
def unwired(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that has just begun, with the servers of these tests in its environment. Its threads take turns as
    often as can be."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    wiring._wired.clear()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    for wired in wiring._wired.values():
        wired.close()
    wiring._wired.clear()
    settings.cache_clear()


def test_all_threads_get_the_same_deps(unwired: None) -> None:
    together = threading.Barrier(THREADS)
    found: list[Deps] = []

    def begin() -> None:
        together.wait()
        found.append(wire())

    threads = [threading.Thread(target=begin) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == THREADS
    assert len({id(one) for one in found}) == 1

"""Ports of the address that is listened on."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from storage.processes import StartFailed
from web.address import choose_port

HOST = "127.0.0.2"


@pytest.fixture
def busy() -> Iterator[int]:
    """A port somebody listens on, there and nowhere else."""
    with socket.create_server((HOST, 0)) as taken:
        yield taken.getsockname()[1]


def test_a_busy_port_is_refused_when_asked_for_and_given_way_to_otherwise(busy: int) -> None:
    with pytest.raises(StartFailed, match=f"Port {busy} is in use. Set PORT to another one"):
        choose_port(HOST, "PORT", busy, 1)
    assert choose_port(HOST, "PORT", None, busy) not in {0, busy}
    assert choose_port(HOST, "PORT", 0, busy) not in {0, busy}


def test_a_port_busy_on_another_address_can_be_had(busy: int) -> None:
    assert choose_port("127.0.0.1", "PORT", busy, 1) == busy
    assert choose_port("127.0.0.1", "PORT", None, busy) == busy


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_address_of_elsewhere_is_told_before_anything_starts(host: str) -> None:
    with pytest.raises(StartFailed, match=r"HOST is '.*'\. It needs an address of this machine"):
        choose_port(host, "PORT", None, 8000)

"""A delivery goes to the very address that was judged, and there only to whoever can show the name's certificate."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest
import trustme

from schema.targets import NOWHERE_PRIVATE, PrivateTargets, read_url
from tasks.notices import post as posting
from tasks.notices.post import Refused, addresses_of, look_up, post
from tests.fakes.receiver import Receiver

NAME = "hooks.example"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trust(authority: trustme.CA) -> Callable[[], ssl.SSLContext]:
    """What a sender trusts that knows the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return lambda: context


class Secured:
    """A receiver with a certificate for ``NAME``; ``asked`` are the names it was called by."""

    def __init__(self, authority: trustme.CA) -> None:
        self.asked: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(NAME).configure_cert(context)
        context.sni_callback = lambda _, name, __: self.asked.append(name)
        self.receiver = Receiver(context)


@pytest.fixture
def secured(authority: trustme.CA) -> Iterator[Secured]:
    made = Secured(authority)
    with made.receiver:
        yield made


def test_the_certificate_is_that_of_the_name_and_the_connection_goes_to_the_address(
    secured: Secured, trust: Callable[[], ssl.SSLContext]
) -> None:
    target = read_url(f"https://{NAME}:{secured.receiver.port}/in?a=b")
    answer = post(target, ["127.0.0.1"], {"X-Of": "tests"}, b"{}", trust)
    assert (answer.status, secured.asked) == (204, [NAME])
    [got] = secured.receiver.received
    assert (got.path, got.headers["Host"], got.headers["X-Of"]) == (
        "/in?a=b",
        f"{NAME}:{secured.receiver.port}",
        "tests",
    )


def test_an_address_that_takes_no_connection_is_passed_over(
    secured: Secured, trust: Callable[[], ssl.SSLContext]
) -> None:
    target = read_url(f"https://{NAME}:{secured.receiver.port}/")
    assert post(target, ["127.9.9.9", "127.0.0.1"], {}, b"{}", trust).status == 204


def test_another_name_gets_nothing(secured: Secured, trust: Callable[[], ssl.SSLContext]) -> None:
    target = read_url(f"https://other.example:{secured.receiver.port}/")
    with pytest.raises(ssl.SSLCertVerificationError):
        post(target, ["127.0.0.1"], {}, b"{}", trust)
    assert secured.receiver.received == []


def test_an_authority_nobody_knows_gets_nothing(secured: Secured) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        post(read_url(f"https://{NAME}:{secured.receiver.port}/"), ["127.0.0.1"], {}, b"{}")
    assert secured.receiver.received == []


def test_every_address_of_a_name_is_judged_and_the_resolver_is_asked_once() -> None:
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["93.184.216.34", "169.254.169.254"]

    with pytest.raises(Refused, match=r"hooks\.example has an address that is not public"):
        addresses_of(read_url(f"https://{NAME}/"), NOWHERE_PRIVATE, resolve)
    assert asked == [(NAME, 443)]
    everything = PrivateTargets(everything=True)
    assert addresses_of(read_url(f"https://{NAME}/"), everything, resolve) == ["93.184.216.34", "169.254.169.254"]


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1", "0", "0x0"),
        *("2852039166", "0xa9fea9fe", "0xa9.254.0251.0376", "3232235777", "0300.0250.1.1", "localhost", "LOCALHOST."),
        *(
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:ffff:a9fe:a9fe]",
            "[::]",
            "[::1]",
            "[64:ff9b::a9fe:a9fe]",
        ),
        *("[fd00:ec2::254]", "[fe80::1]", "169.254.169.254", "100.100.100.200", "192.168.0.1", "10.0.0.1"),
    ],
)
def test_no_way_to_write_an_address_leads_into_a_private_network(host: str) -> None:
    """As the resolver of this machine reads it: a number, in octal or hexadecimal, with parts left out, wrapped in
    IPv6."""
    with pytest.raises((Refused, OSError, ValueError)) as refused:
        addresses_of(read_url(f"https://{host}/latest/meta-data/"), NOWHERE_PRIVATE, look_up)
    assert not isinstance(refused.value, TimeoutError)


def test_a_resolver_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "LOOK_UP_SECONDS", 0.05)
    over = threading.Event()
    with pytest.raises(socket.gaierror, match="in time"):
        look_up(NAME, 443, lambda *_, **__: over.wait(60))
    over.set()


def test_what_the_resolver_says_is_passed_on() -> None:
    assert "127.0.0.1" in look_up("localhost", 443)
    with pytest.raises(OSError, match=r"\w"):
        look_up("nowhere.invalid", 443)
    with pytest.raises(UnicodeError):
        look_up(f"{'a' * 70}.example", 443)

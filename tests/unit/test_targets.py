"""Which URLs may be sent to, and which addresses are the public's."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.targets import (
    NOWHERE_PRIVATE,
    PrivateTargets,
    Target,
    fault_of,
    is_public,
    read_private_targets,
    read_url,
)

PUBLIC = ["93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450:4001::200e"]
PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.8", "192.0.2.1", "198.18.0.1", "203.0.113.9"),
    *("0.0.0.0", "192.88.99.1", "3fff::1"),  # noqa: S104 - an address to be judged
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1"),
    *("fec0::1", "2001:db8::1", "2002:7f00:1::", "2002:c0a8:101::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::1", "::7f00:1", "2001:0:53aa:64c::1", "100::1", "2001:10::1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_whatever_it_is_wrapped(address: IPv4Address) -> None:
    wrapped = [
        IPv6Address(f"::ffff:{address}"),
        IPv6Address((0x2002 << 112) | (int(address) << 80)),
        IPv6Address(int(IPv6Address("64:ff9b::")) | int(address)),
    ]
    assert {is_public(str(one)) for one in wrapped} == {is_public(str(address))}


@given(
    st.sampled_from(["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10"]),
    st.data(),
)
def test_no_address_of_a_private_network_is_public(network: str, data: st.DataObject) -> None:
    assert not is_public(str(data.draw(st.ip_addresses(network=network))))


@given(st.ip_addresses())
def test_it_judges_every_address(address: IPv4Address | IPv6Address) -> None:
    assert is_public(str(address)) in {True, False}
    assert not is_public(str(address)) or (address.is_global and not address.is_multicast)


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "target"),
        [
            ("https://example.org", Target("https", "example.org", 443, "/")),
            ("https://Example.org:8443/a%20b?c=d&e", Target("https", "example.org", 8443, "/a%20b?c=d&e")),
            ("http://my_service:80/", Target("http", "my_service", 80, "/")),
            ("https://[2001:db8::1]/x", Target("https", "2001:db8::1", 443, "/x")),
        ],
    )
    def test_what_can_be_read(self, url: str, target: Target) -> None:
        assert read_url(url) == target

    @pytest.mark.parametrize(
        ("url", "authority"),
        [
            ("https://example.org/", "example.org"),
            ("https://example.org:444/", "example.org:444"),
            ("http://[::1]:8000/", "[::1]:8000"),
        ],
    )
    def test_the_header_host(self, url: str, authority: str) -> None:
        assert read_url(url).authority == authority

    @pytest.mark.parametrize(
        "url",
        [
            *("", "example.org", "ftp://example.org/", "file:///etc/passwd", "https://", "https:///path", "//x/"),
            *("https://user@example.org/", "https://user:pass@example.org/", "https://good.org\\@evil.org/"),
            *("https://example.org/#part", "https://example.org:0/", "https://example.org:99999/", "https://a:b/"),
            *("https://exa mple.org/", "https://example.org/\r\nX: y", "https://exämple.org/", "https://[::1/"),
            *("https://[fe80::1%25eth0]/", "https://.example.org/", "https://example.org/" + "x" * 2000),
        ],
    )
    def test_what_can_not(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"\.$"):
            read_url(url)

    @pytest.mark.parametrize("port", [21, 22, 25, 110, 143, 389, 465, 587, 2049, 6667])
    def test_ports_of_other_services_are_not_for_http(self, port: int) -> None:
        with pytest.raises(ValueError, match=rf"^Port {port} "):
            read_url(f"https://example.org:{port}/")

    @given(st.text(max_size=60))
    def test_nothing_else_comes_of_any_text(self, text: str) -> None:
        for url in (text, f"https://{text}", f"https://example.org{text}"):
            try:
                read_url(url)
            except ValueError as error:
                assert str(error).endswith(".")


class TestPrivateTargets:
    def test_the_setting(self) -> None:
        read = read_private_targets("127.0.0.1, 10.1.2.3/8 ,Hooks.Internal,fd00::/8")
        assert read.hosts == {"hooks.internal"}
        assert read.networks == (ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
        assert read_private_targets("allow") == PrivateTargets(everything=True)
        assert read.any and not NOWHERE_PRIVATE.any

    @pytest.mark.parametrize("text", [",", "a b", "10.0.0.0/33", "10.0.0", "https://a", "a,,b", "/8"])
    def test_what_is_malformed(self, text: str) -> None:
        with pytest.raises(ValueError, match="not a host"):
            read_private_targets(text)

    @pytest.mark.parametrize(
        ("setting", "url", "addresses", "allowed"),
        [
            ("", "https://a.org/", ["8.8.8.8"], True),
            ("", "https://a.org/", ["8.8.8.8", "10.0.0.1"], False),
            ("", "http://a.org/", ["8.8.8.8"], False),
            ("10.0.0.0/8", "https://a.org/", ["8.8.8.8", "10.0.0.1"], True),
            ("10.0.0.0/8", "https://a.org/", ["127.0.0.1"], False),
            ("10.0.0.0/8", "http://a.org/", ["10.0.0.1", "::ffff:10.0.0.2"], True),
            ("10.0.0.0/8", "http://a.org/", ["8.8.8.8"], False),
            ("a.org", "http://A.org/", ["127.0.0.1"], True),
            ("a.org", "http://b.org/", ["127.0.0.1"], False),
            ("allow", "http://b.org/", ["169.254.169.254"], True),
        ],
    )
    def test_who_may_be_sent_to(self, setting: str, url: str, addresses: list[str], allowed: bool) -> None:
        private = read_private_targets(setting) if setting else NOWHERE_PRIVATE
        assert (fault_of(read_url(url), addresses, private) is None) is allowed

"""Where webhooks may be sent: what a URL must look like, and which addresses are the public's.

A school names the URL, and this system's own network must be none of its business. So the name is resolved, every
address it has is judged here, and the connection goes to an address that was judged (``tasks/notices/post.py``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

LONGEST_URL = 2000
#: Where other services listen that would take parts of an HTTP request for commands: the ports that the fetch standard
#: keeps browsers from (https://fetch.spec.whatwg.org/#port-blocking).
_OTHER_SERVICES = frozenset(
    (
        *(1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109),
        *(110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530),
        *(531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045),
        *(4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080),
    )
)
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?\Z")
#: What is routed on the internet, of IPv6. Everything else there is local, reserved, or leads to IPv4.
_ROUTED = IPv6Network("2000::/3")
#: Addresses that a resolver makes of IPv4 ones where a network has IPv6 alone (RFC 6052).
_TRANSLATED = IPv6Network("64:ff9b::/96")
#: What IANA's registries call not global, and the standard library of Python 3.11 does not.
_SPECIAL = tuple(ip_network(one) for one in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20"))


@dataclass(frozen=True)
class Target:
    """A URL that can be posted to. ``path`` is what the request line names: path and query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"


def read_url(url: str) -> Target:
    """Take a URL apart. Raises ``ValueError`` with a sentence for whoever wrote it."""
    if len(url) > LONGEST_URL:
        raise ValueError(f"Use at most {LONGEST_URL} characters.")
    if not re.fullmatch(r"[\x21-\x7e]+", url) or "\\" in url:
        raise ValueError("Use ASCII without spaces and backslashes; write other characters percent-encoded.")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise ValueError("Not a URL: its host or its port is malformed.") from None
    if parts.scheme not in ("https", "http"):
        raise ValueError("Begin with https://.")
    if "@" in parts.netloc:
        raise ValueError("Put no user name or password into the URL; deliveries are signed instead.")
    if parts.fragment:
        raise ValueError("Leave out what follows #; it is never sent.")
    if port == 0 or not (_is_ipv6(host) if ":" in host else _HOST.match(host)):
        raise ValueError("Not a URL: its host or its port is malformed.")
    if port in _OTHER_SERVICES:
        raise ValueError(f"Port {port} is not one for HTTP.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or {"https": 443, "http": 80}[parts.scheme], path)


def _is_ipv6(host: str) -> bool:
    try:
        return "%" not in host and ip_address(host).version == 6
    except ValueError:
        return False


def is_public(text: str) -> bool:
    """Whether an address belongs to a host on the internet: neither this machine, nor a private network, nor several
    hosts at once. IPv6 addresses that stand for IPv4 ones are judged as those."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(str(inner))
        if address not in _ROUTED:
            return False
    elif address.is_multicast or address.is_reserved:
        return False
    return address.is_global and not any(address in one for one in _SPECIAL if one.version == address.version)


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


@dataclass(frozen=True)
class PrivateTargets:
    """What ``WEBHOOK_PRIVATE_TARGETS`` allows beside public addresses: everything, or these hosts by name, and these
    networks."""

    everything: bool = False
    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @property
    def any(self) -> bool:
        return self.everything or bool(self.hosts or self.networks)

    def name(self, host: str, address: str) -> bool:
        """Whether the operator named this one: the host, or a network the address lies in."""
        found = ip_address(address.partition("%")[0])
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return (
            self.everything
            or host.lower() in self.hosts
            or any(found in network for network in self.networks if network.version == found.version)
        )


#: No private address is allowed.
NOWHERE_PRIVATE = PrivateTargets()


def read_private_targets(text: str) -> PrivateTargets:
    """Read the setting: ``allow``, or hosts, addresses and networks with commas between. Raises ``ValueError``."""
    if text == "allow":
        return PrivateTargets(everything=True)
    hosts, networks = set(), []
    for entry in (part.strip() for part in text.split(",")):
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            if not _HOST.match(entry) or re.fullmatch(r"[0-9./]+", entry):
                raise ValueError("not a host, an address or a network") from None
            hosts.add(entry.lower())
    return PrivateTargets(hosts=frozenset(hosts), networks=tuple(networks))


def fault_of(target: Target, addresses: list[str], private: PrivateTargets) -> str | None:
    """Why nothing may be sent to a target whose name has these addresses; none when it may.

    One address that is not allowed is enough: which of them a connection gets is chance."""
    named = [private.name(target.host, address) for address in addresses]
    if not all(by_name or is_public(address) for by_name, address in zip(named, addresses, strict=True)):
        return f"{target.host} has an address that is not public. Use one that can be reached from the internet."
    if target.scheme == "http" and not all(named):
        return "Use https://. Plain http is only for hosts that WEBHOOK_PRIVATE_TARGETS names."
    return None

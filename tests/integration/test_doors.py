"""The doors between the parts of the embedded object store, and what servers find in their environment."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from storage.embedded.certificates import mutual_tls
from storage.processes import SERVERS_INHERIT, inherited
from tests.conftest import Servers, eventually
from tests.knocking import over_tls, pid_listening, plainly, ports_of

NAMED = re.compile(r"-([a-z0-9.]+)=(\d+)(?: |$)")


def inner_ports(servers: Servers) -> dict[str, int]:
    """The ports over which the parts of the store speak to each other, by their names."""
    named = NAMED.findall(" ".join(servers.specs["s3"].argv))
    return {name: int(port) for name, port in named if ".port" in name and name != "s3.port" and int(port)}


def test_every_door_of_the_store_is_known(servers: Servers) -> None:
    pid = pid_listening(servers.environ["S3_ENDPOINT_URL"])
    known = {*inner_ports(servers).values(), urlsplit(servers.environ["S3_ENDPOINT_URL"]).port}
    assert len(known) == 10
    # Some open a moment after the store takes its first request.
    eventually(lambda: {port for _, port in ports_of(pid)} >= known, what="every door")
    assert {port for _, port in ports_of(pid)} == known


def test_the_doors_within_the_store_ask_for_its_certificate(servers: Servers, tmp_path: Path) -> None:
    mutual_tls(tmp_path)  # somebody else's
    ours = servers.home / "s3-certificates"
    for name, port in inner_ports(servers).items():
        eventually(lambda port=port: over_tls(port, ours), what=f"{name}, for those who may come in")  # type: ignore[misc]
        for shown in (None, tmp_path):
            assert over_tls(port, shown) == b"", f"{name} opens to a stranger"
        said = plainly(port)
        assert said == b"" or b" 400 Bad Request" in said, f"{name} speaks to whoever comes: {said!r}"


def test_the_certificate_is_for_its_owner_alone_and_new_each_time(tmp_path: Path) -> None:
    first = mutual_tls(tmp_path / "a")
    key = (tmp_path / "a" / "key.pem").read_bytes()
    assert mutual_tls(tmp_path / "a") == first
    assert (tmp_path / "a" / "key.pem").read_bytes() != key
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a").iterdir()} == {0o600}
    assert not [value for value in first.values() if "-----BEGIN" in value]


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "S3_ENDPOINT_URL"])
def test_no_server_finds_our_settings_in_its_environment(servers: Servers, name: str) -> None:
    found = psutil.Process(pid_listening(servers.environ[name])).environ().keys()
    assert {one for one in found if not one.startswith("WEED_")} <= SERVERS_INHERIT | {"GOMEMLIMIT"}


def test_what_a_server_inherits_is_nothing_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a key")
    monkeypatch.setenv("PATH", "/usr/bin")
    assert inherited(SERVERS_INHERIT).get("PATH") == "/usr/bin"
    assert "OPENAI_API_KEY" in inherited(None) and "OPENAI_API_KEY" not in inherited(SERVERS_INHERIT)

from __future__ import annotations

import pytest

from web.address import reached_at, url_of, with_port


@pytest.mark.parametrize(
    ("host", "written", "url"),
    [
        ("127.0.0.1", "127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("127.0.0.2", "127.0.0.2:8000", "http://127.0.0.2:8000"),
        ("school.example", "school.example:8000", "http://school.example:8000"),
        ("::1", "[::1]:8000", "http://[::1]:8000"),
        ("0.0.0.0", "0.0.0.0:8000", "http://127.0.0.1:8000"),  # noqa: S104 - only read
        ("::", "[::]:8000", "http://127.0.0.1:8000"),
    ],
)
def test_an_address_is_bound_as_it_is_and_reached_where_it_can_be(host: str, written: str, url: str) -> None:
    assert with_port(host, 8000) == written
    assert url_of(host, 8000) == url
    assert with_port(reached_at(host), 8000) == url.removeprefix("http://")

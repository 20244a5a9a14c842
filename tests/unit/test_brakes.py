from __future__ import annotations

import pytest

from storage.spending.brakes import endpoint_of


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("https://Models.Example:8443/v1/", "https://models.example:8443/v1"),
        ("https://user:pass@models.example/v1?key=secret#part", "https://models.example/v1"),
        ("http://us:er@p@ss@models.example", "http://models.example"),
        ("http://[::1]:9000/v1", "http://[::1]:9000/v1"),
    ],
)
def test_an_endpoint_is_shown_without_what_opens_it(address: str, shown: str) -> None:
    assert endpoint_of(address) == shown

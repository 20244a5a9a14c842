"""What an organization's agent token looks like, and what is kept of it."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.agent_token import PREFIX_LENGTH, AgentToken, read_token
from schema.clock import short_code


def test_what_is_made_is_read_and_only_a_hash_is_kept() -> None:
    for _ in range(50):
        made = AgentToken(short_code(PREFIX_LENGTH), secrets.token_urlsafe(32))
        assert read_token(made.text) == made
        assert len(made.hash) == 64 and made.secret not in made.hash
        assert made.secret not in repr(made)


@pytest.mark.parametrize(
    "text",
    [
        *("", "cw_", "cw_abcdefgh_", "cw_abcdefg_" + "x" * 43, "cw_abcdefgh_" + "x" * 42, "cw_abcdefgh_" + "x" * 44),
        *(
            "CW_abcdefgh_" + "x" * 43,
            "cw_ABCDEFGH_" + "x" * 43,
            "cw_abcdefgh_" + "x" * 42 + "\n",
            "cw_abcdefgh_" + "ä" * 43,
        ),
    ],
    ids=range(10),
)
def test_what_can_be_none(text: str) -> None:
    assert read_token(text) is None


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    found = read_token(text)
    assert found is None or found.text == text

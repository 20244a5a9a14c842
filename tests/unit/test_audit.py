"""Entries of the audit log, the cells of its export, and how refusals are counted."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from schema.audit import ACTIONS, By, Deed, neutral, small
from web.refusals import ALL, EACH, Refusals, group_of

ORG = UUID(int=1)


def test_a_deed_is_on_the_list() -> None:
    with pytest.raises(ValueError, match=r"job\.eaten is not on the list"):
        Deed(ORG, "job.eaten")


def test_every_action_is_explained_in_a_sentence() -> None:
    for action, words in ACTIONS.items():
        noun, _, verb = action.partition(".")
        assert noun.isalpha() and verb.replace("_", "").isalpha()
        assert words.endswith(".") and words[0].isupper()


def test_details_are_small_and_hold_no_secret() -> None:
    given = {"a": None, "b": "x" * 1000, "c": ["Bearer abcdefghij", 1, True], "d": range(1000), "e": {"f": UUID(int=2)}}
    kept = small(given)
    assert kept.keys() == {"b", "c", "d", "e"}
    assert len(kept["b"]) == 300 and len(kept["d"]) == 100
    assert kept["c"] == ["Bearer [secret]", 1, True] and kept["e"] == {"f": str(UUID(int=2))}


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "  =cmd|' /C calc'!A0", "|x", "＝1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "job.started", "2026-11-21T10:00:00Z", '{"a": "=1"}', "a=b", "::1"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert neutral(cell) == cell


# --- refusals -------------------------------------------------------------------------------------------------------


class Desk:
    """Refusals with a clock of ours."""

    def __init__(self) -> None:
        self.written: list[Deed] = []
        self.now = 0.0
        self.timers: list[Callable[[], None]] = []
        self.refusals = Refusals(self.written.append, lambda: self.now, lambda _, do: self.timers.append(do))

    def meet(self, address: str, times: int = 1, organization: UUID | None = ORG) -> None:
        for _ in range(times):
            self.refusals.meet(Deed(organization, "login.refused", by=By("unknown", address=address)))

    def minute_later(self) -> None:
        self.now += 61
        for timer in self.timers:
            timer()
        self.timers.clear()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_few_refusals_are_written_one_by_one(desk: Desk) -> None:
    desk.meet("192.0.2.1", EACH)
    assert len(desk.written) == EACH and not desk.timers


def test_a_flood_leaves_its_number_and_not_its_lines(desk: Desk) -> None:
    desk.meet("192.0.2.1", EACH + 1000)
    assert len(desk.written) == EACH
    desk.minute_later()
    [counted] = desk.written[EACH:]
    assert counted.details == {"more": 1000} and counted.organization_id == ORG
    assert counted.by == By("unknown", address="192.0.2.1")
    desk.meet("192.0.2.1")
    assert len(desk.written) == EACH + 2, "another minute, another share"


def test_one_address_does_not_use_up_the_share_of_another(desk: Desk) -> None:
    desk.meet("192.0.2.1", 100)
    desk.meet("192.0.2.2")
    assert len(desk.written) == EACH + 1


def test_very_many_addresses_have_one_share_together(desk: Desk) -> None:
    for number in range(ALL + 500):
        desk.meet(f"10.0.{number // 256}.{number % 256}")
    assert len(desk.written) == ALL
    desk.minute_later()
    assert len(desk.written) == ALL + 100, "of so many only the first hundred are counted by name"


def test_the_network_of_an_ipv6_address_is_one(desk: Desk) -> None:
    for number in range(50):
        desk.meet(f"2001:db8::{number:x}")
    assert len(desk.written) == EACH
    assert group_of("2001:db8::1") == "2001:db8::/64"
    assert group_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert group_of("a; DROP TABLE") == group_of(None) == "unknown"


def test_each_organization_learns_of_its_own(desk: Desk) -> None:
    desk.meet("192.0.2.1", EACH)
    desk.meet("192.0.2.1", 3, ORG)
    desk.meet("192.0.2.1", 4, None)
    desk.minute_later()
    counted = {(deed.organization_id, deed.details["more"]) for deed in desk.written[EACH:]}
    assert counted == {(ORG, 3), (None, 4)}


def test_the_count_is_written_by_the_next_one_who_comes_also_without_a_timer(desk: Desk) -> None:
    desk.meet("192.0.2.1", EACH + 2)
    desk.now += 61
    desk.meet("192.0.2.9")
    assert [deed.details.get("more") for deed in desk.written[EACH:]] == [2, None]
    desk.minute_later()
    assert len(desk.written) == EACH + 2, "and not a second time"

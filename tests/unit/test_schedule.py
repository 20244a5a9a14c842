"""When a schedule is due, also where clocks are changed, and what a schedule may look like."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.errors import Invalid
from schema.schedule import (
    CATCH_UP_SECONDS,
    NewScheduleSchema,
    ScheduleChangesSchema,
    last_missed,
    load_schedule,
    next_time,
    shown_times,
    times,
)

BERLIN = "Europe/Berlin"
REQUEST = {"jobType": "course", "payload": {"subject": "Addition", "gradeBand": "2", "mode": "numeric"}}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def found(cron: str, zone: str, after: str, count: int) -> list[str]:
    return [f"{one:%m-%d %H:%M}" for one in islice(times(cron, zone, at(after)), count)]


class TestTimes:
    def test_every_monday_at_six_in_berlin(self) -> None:
        # Summer time begins on 2026-03-29: the same hour there is an hour earlier here.
        assert found("0 6 * * 1", BERLIN, "2026-03-20T00:00", 3) == ["03-23 05:00", "03-30 04:00", "04-06 04:00"]

    def test_a_time_that_a_day_leaves_out_comes_once_right_after_the_gap(self) -> None:
        assert found("30 2 * * *", BERLIN, "2026-03-28T00:00", 3) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]

    def test_several_that_fall_into_the_gap_come_once(self) -> None:
        assert found("0,30 2 * * *", BERLIN, "2026-03-28T20:00", 3) == ["03-29 01:00", "03-30 00:00", "03-30 00:30"]

    def test_a_time_that_a_day_has_twice_comes_once(self) -> None:
        assert found("30 2 * * *", BERLIN, "2026-10-24T00:00", 3) == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]

    def test_whoever_asks_within_the_second_of_the_two_hours_is_told_the_next_day(self) -> None:
        assert found("30 2 * * *", BERLIN, "2026-10-25T01:10", 1) == ["10-26 01:30"]

    def test_every_hour_goes_by_hours_that_pass(self) -> None:
        assert found("30 * * * *", BERLIN, "2026-10-25T00:00", 3) == ["10-25 00:30", "10-25 01:30", "10-25 02:30"]
        assert found("30 * * * *", BERLIN, "2026-03-29T00:00", 2) == ["03-29 00:30", "03-29 01:30"]

    def test_it_ends_when_the_day_does_not_come(self) -> None:
        assert next_time("0 0 29 2 *", "UTC", at("2026-03-01T00:00")) == at("2028-02-29T00:00")
        with pytest.raises(ValueError, match="Bad day-of-month"):
            times("0 0 30 2 *", "UTC", at("2026-03-01T00:00"))

    def test_names_and_the_last_day_are_understood(self) -> None:
        assert found("0 8 L * *", "UTC", "2026-02-01T00:00", 2) == ["02-28 08:00", "03-31 08:00"]
        assert found("0 8 * jan mon-fri", "UTC", "2026-01-02T09:00", 1) == ["01-05 08:00"]

    @settings(max_examples=60)
    @given(
        st.integers(0, 59),
        st.sampled_from(["0", "2", "2,3", "*/5", "*"]),
        st.sampled_from(["*", "0", "1-5", "7"]),
        st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
        st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 - made aware below
    )
    def test_times_rise_lie_ahead_and_do_not_depend_on_where_one_begins(
        self, minute: int, hour: str, weekday: str, zone: str, after: datetime
    ) -> None:
        cron, after = f"{minute} {hour} * * {weekday}", after.replace(tzinfo=UTC)
        first = list(islice(times(cron, zone, after), 8))
        assert all(one < other for one, other in pairwise([after, *first]))
        for one, other in pairwise(first):
            assert next_time(cron, zone, one) == other


class TestWhatWasMissed:
    NOW = at("2026-11-21T12:00:30")

    @pytest.mark.parametrize(
        ("cron", "due", "last"),
        [
            ("0 12 * * *", "2026-11-21T12:00", "2026-11-21T12:00"),
            ("0 * * * *", "2026-11-21T07:00", "2026-11-21T12:00"),
            ("* * * * *", "2026-10-01T00:00", "2026-11-21T12:00"),
            ("0 7 * * *", "2026-11-19T07:00", "2026-11-19T07:00"),
            ("15 11 * * *", "2026-11-20T11:15", "2026-11-21T11:15"),
        ],
    )
    def test_the_last_that_can_be_made_up_for(self, cron: str, due: str, last: str) -> None:
        assert last_missed(cron, "UTC", at(due), self.NOW) == at(last)

    @given(st.timedeltas(timedelta(0), timedelta(days=3)))
    def test_it_lies_between_the_due_time_and_now(self, late: timedelta) -> None:
        due = at("2026-11-21T12:00")
        last = last_missed("*/7 * * * *", BERLIN, due, due + late)
        assert due <= last <= due + late
        assert last == due or (due + late - last).total_seconds() <= CATCH_UP_SECONDS

    def test_the_next_times_begin_with_the_one_that_is_due(self) -> None:
        due = at("2026-11-23T05:00")
        assert shown_times("0 6 * * 1", BERLIN, due) == [due, due + timedelta(days=7), due + timedelta(days=14)]


def faults(given: Any, schema: Any = None) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        load_schedule(schema or NewScheduleSchema(), given)
    return {error.path: error.code for error in refused.value.errors}


class TestBodies:
    def test_a_body_with_its_defaults(self) -> None:
        loaded = load_schedule(NewScheduleSchema(), {"name": "Weekly", "cron": "0 6 * * 1", "request": REQUEST})
        assert (loaded["timeZone"], loaded["paused"]) == ("UTC", False)
        assert (loaded["request"].job_type, loaded["request"].payload["itemsPerGroup"]) == ("course", 12)

    def test_older_spellings_are_understood(self) -> None:
        request = {"job_type": "ai_course_generate", "payload": {**REQUEST["payload"], "items_per_group": 3}}
        loaded = load_schedule(
            NewScheduleSchema(), {"name": "W", "cron": "0 6 * * 1", "time_zone": BERLIN, "request": request}
        )
        assert (loaded["timeZone"], loaded["request"].payload["itemsPerGroup"]) == (BERLIN, 3)

    def test_every_fault_is_named_those_of_the_request_too(self) -> None:
        request = {"jobType": "course", "payload": {"subject": " ", "mode": "numeric"}}
        given = {"name": "", "cron": "0 6 * *", "timeZone": "Mars/Olympus", "request": request, "every": "monday"}
        assert faults(given) == {
            "name": "invalid_value",
            "cron": "invalid_value",
            "timeZone": "invalid_value",
            "every": "unknown_field",
            "request.payload.subject": "invalid_value",
            "request.payload.gradeBand": "required",
        }
        assert faults({}) == {"name": "required", "cron": "required", "request": "required"}
        dance = {"request": {"jobType": "dance", "payload": {}}}
        assert faults(dance, ScheduleChangesSchema()) == {"request.jobType": "invalid_value"}

    @pytest.mark.parametrize("request_", ["a text", 5, []])
    def test_a_request_of_another_type(self, request_: Any) -> None:
        assert next(iter(faults({"request": request_}, ScheduleChangesSchema()))).startswith("request")

    @pytest.mark.parametrize(
        "cron",
        [
            *(
                "",
                "* * * * * *",
                "60 * * * *",
                "* 24 * * *",
                "* * 0 * *",
                "* * * 13 *",
                "* * * * 8",
                "@daily",
                "a b c d e",
            ),
            *("0 0 30 2 *", "0 0 31 4,6,9,11 *", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", "0 0 * * MON#9"),
            *("٠ 0 * * *", "* * * * *" + " " * 100, "99999999999999999999 * * * *"),
        ],
    )
    def test_a_cron_expression_that_makes_no_sense(self, cron: str) -> None:
        assert faults({"cron": cron}, ScheduleChangesSchema()) == {"cron": "invalid_value"}

    @settings(max_examples=300)
    @given(st.text("0123456789*/,-#L WMONSUJAN", max_size=30))
    def test_any_text_is_taken_or_refused_and_quickly(self, cron: str) -> None:
        try:
            load_schedule(ScheduleChangesSchema(), {"cron": cron})
        except Invalid as refused:
            assert [error.path for error in refused.errors] == ["cron"]
        else:
            assert next_time(cron, BERLIN, at("2026-01-01T00:00")) is not None

    @pytest.mark.parametrize("zone", ["", "CEST?", "../../etc/passwd", "Europe", "europe/berlin", "UTC+1", "localtime"])
    def test_a_time_zone_there_is_not(self, zone: str) -> None:
        assert faults({"timeZone": zone}, ScheduleChangesSchema()) == {"timeZone": "invalid_value"}

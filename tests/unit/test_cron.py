"""Cron schedules: what they mean, in zones that change their clocks too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.cron import parse_schedule

START = datetime(2024, 2, 28, 23, 59, 30, tzinfo=UTC)


def times(schedule: str, after: datetime = START, count: int = 2, zone: str = "") -> list[str]:
    found: list[str] = []
    moment: datetime | None = after
    while len(found) < count and (moment := parse_schedule(schedule, zone).next_after(moment)) is not None:
        found.append(moment.isoformat())
    return found


@pytest.mark.parametrize(
    "schedule, expected",
    [
        ("* * * * *", ["2024-02-29T00:00:00+00:00", "2024-02-29T00:01:00+00:00"]),
        ("*/20 9-10 * * *", ["2024-02-29T09:00:00+00:00", "2024-02-29T09:20:00+00:00"]),
        ("5/30 12 * * *", ["2024-02-29T12:05:00+00:00", "2024-02-29T12:35:00+00:00"]),
        ("0 0 29 feb ?", ["2024-02-29T00:00:00+00:00", "2028-02-29T00:00:00+00:00"]),
        ("0 0 1,15 * MON", ["2024-03-01T00:00:00+00:00", "2024-03-04T00:00:00+00:00"]),
        ("0 0 */10 * sun", ["2024-03-01T00:00:00+00:00", "2024-03-03T00:00:00+00:00"]),
        ("@weekly", ["2024-03-03T00:00:00+00:00", "2024-03-10T00:00:00+00:00"]),
        ("@every 90m", ["2024-02-29T01:29:30+00:00", "2024-02-29T02:59:30+00:00"]),
        ("@every 10ms", ["2024-02-28T23:59:31+00:00", "2024-02-28T23:59:32+00:00"]),
        ("CRON_TZ=Asia/Tokyo 0 9 * * *", ["2024-02-29T00:00:00+00:00", "2024-03-01T00:00:00+00:00"]),
        ("0 0 30 2 *", []),
        ("0 0 , * *", []),
    ],
)
def test_times(schedule: str, expected: list[str]) -> None:
    assert times(schedule) == expected


@pytest.mark.parametrize(
    "schedule, zone, after, expected",
    [
        ("30 2 * * *", "America/New_York", "2024-03-09T12:00:00", ["2024-03-11T02:30:00-04:00", "2024-03-12T02:30:00-04:00"]),
        ("30 1 * * *", "America/New_York", "2024-11-02T12:00:00", ["2024-11-03T01:30:00-04:00", "2024-11-03T01:30:00-05:00"]),
        ("0 0 * * *", "America/Santiago", "2024-09-07T12:00:00", ["2024-09-09T00:00:00-03:00", "2024-09-10T00:00:00-03:00"]),
        ("0 */6 * * *", "Europe/Berlin", "2024-03-30T20:00:00", ["2024-03-31T00:00:00+01:00", "2024-03-31T06:00:00+02:00"]),
    ],
)
def test_when_clocks_change(schedule: str, zone: str, after: str, expected: list[str]) -> None:
    assert times(schedule, datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone)), zone=zone) == expected


def test_a_field_for_seconds() -> None:
    assert parse_schedule("15/30 * * * * *", seconds=True).next_after(START) == datetime(2024, 2, 28, 23, 59, 45, tzinfo=UTC)


def test_without_a_zone_that_of_the_moment_counts() -> None:
    moment = START.astimezone(ZoneInfo("Asia/Kolkata"))
    assert times("0 9 * * *", moment, 1) == ["2024-02-29T09:00:00+05:30"]


@pytest.mark.parametrize(
    "schedule, message",
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@nope", "unrecognized descriptor: @nope"),
        ("@every x", 'failed to parse duration @every x: time: invalid duration "x"'),
        ("TZ=No/Where * * * * *", "provided bad location No/Where: unknown time zone No/Where"),
        ("TZ=UTC", "a time zone without a schedule behind it"),
    ],
)
def test_messages(schedule: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_schedule(schedule)
    assert caught.value.message == message


def test_a_huge_schedule_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        parse_schedule("1," * 1000 + " * * * *")


_FIELD = st.sampled_from(["*", "*/7", "1-5", "3", "2,5", "4/3"])


@given(st.tuples(*[_FIELD] * 5).map(" ".join), st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]), st.integers(0, 10**8))
def test_a_next_time_fits_and_comes_later(schedule: str, zone: str, seconds: int) -> None:
    after = datetime(2020, 1, 1, tzinfo=ZoneInfo(zone)) + timedelta(seconds=seconds)
    parsed = parse_schedule(schedule, zone)
    found = parsed.next_after(after)
    assert found is not None
    assert after < found < after + timedelta(days=5 * 366)
    assert (found.minute in parsed.minute.values) and (found.hour in parsed.hour.values) and parsed.day_matches(found)


@given(st.text(alphabet="*/-,?0123456789 LMON@evrydailTZ=", max_size=25))
def test_any_text_is_a_schedule_or_a_clear_error(text: str) -> None:
    try:
        parse_schedule(text).next_after(START)
    except ExpressionError as error:
        assert error.message

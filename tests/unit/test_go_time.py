"""Times by Go layouts, and Go's default texts of values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import ExpressionError
from flowcore.language.go_format import duration_text, format_float, go_text
from flowcore.language.go_time import RFC3339, format_time, parse_time, time_text

MOMENT = datetime(2024, 3, 5, 16, 7, 9, 120_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "layout, text",
    [
        ("2006-01-02", "2024-03-05"),
        ("02/01/06 15:04:05.000", "05/03/24 16:07:09.120"),
        ("Monday, January _2 2006 3:04pm", "Tuesday, March  5 2024 4:07pm"),
        ("Mon Jan 2 03:4:5.999999 PM MST", "Tue Mar 5 04:7:9.12 PM UTC"),
        (RFC3339, "2024-03-05T16:07:09Z"),
        ("-0700 -07:00 Z0700", "+0000 +00:00 Z"),
        ("002 __2", "065  65"),
        ("Month: January, Janitor", "Month: March, Janitor"),
        ("20060102150405", "20240305160709"),
    ],
)
def test_printing(layout: str, text: str) -> None:
    assert format_time(MOMENT, layout) == text


def test_zone_names() -> None:
    assert format_time(datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")), "MST -0700") == "CEST +0200"
    assert time_text(datetime(2024, 7, 1, tzinfo=timezone(timedelta(hours=-3)))) == "2024-07-01 00:00:00 -0300 -0300"


@pytest.mark.parametrize(
    "layout, text, expected",
    [
        ("2006-01-02", "2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2006-01-02 15:04:05", "2024-02-29 01:02:03.5", datetime(2024, 2, 29, 1, 2, 3, 500_000, tzinfo=UTC)),
        ("Jan 2, 2006 3:04 PM", "feb 9, 2024 12:30 AM", datetime(2024, 2, 9, 0, 30, tzinfo=UTC)),
        (RFC3339, "2024-02-29T10:00:00-05:00", datetime(2024, 2, 29, 15, tzinfo=UTC)),
        ("06 002", "24 060", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2006 MST", "2024 GMT+3", datetime(2023, 12, 31, 21, tzinfo=UTC)),
    ],
)
def test_reading(layout: str, text: str, expected: datetime) -> None:
    assert parse_time(text, layout).to_datetime() == expected


@pytest.mark.parametrize(
    "layout, text, message",
    [
        ("2006-01-02", "2024-02-30", 'parsing time "2024-02-30": day out of range'),
        ("2006-01-02", "2024-13-01", 'parsing time "2024-13-01": month out of range'),
        ("2006-01-02", "2024-01-01x", 'parsing time "2024-01-01x": extra text: "x"'),
        ("2006-01-02", "24-01-01", 'parsing time "24-01-01" as "2006-01-02": cannot parse "24-01-01" as "2006"'),
        ("Monday", "Someday", 'parsing time "Someday" as "Monday": cannot parse "Someday" as "Monday"'),
    ],
)
def test_what_does_not_fit(layout: str, text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_time(text, layout)
    assert caught.value.message == message


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_was_printed_reads_back(moment: datetime) -> None:
    layout = "2006-01-02T15:04:05.000000Z07:00"
    assert parse_time(format_time(moment, layout), layout).to_datetime() == moment


@pytest.mark.parametrize(
    "number, text",
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (100.0, "100"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e-5, "1.5e-05"),
        (0.0001, "0.0001"),
        (123456.789, "123456.789"),
        (float("inf"), "+Inf"),
        (float("nan"), "NaN"),
    ],
)
def test_floats(number: float, text: str) -> None:
    assert format_float(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_printed_float_reads_back(number: float) -> None:
    assert float(format_float(number)) == number


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "<nil>"),
        (True, "true"),
        (["a", 1, None], "[a 1 <nil>]"),
        ({"b": [1.5], "a": {}}, "map[a:map[] b:[1.5]]"),
        (b"\x01\x02", "[1 2]"),
    ],
)
def test_default_texts(value: object, text: str) -> None:
    assert go_text(value) == text


@pytest.mark.parametrize(
    "duration, text",
    [
        (timedelta(), "0s"),
        (timedelta(microseconds=1500), "1.5ms"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(hours=-2), "-2h0m0s"),
        (timedelta(hours=1, seconds=0.5), "1h0m0.5s"),
    ],
)
def test_durations(duration: timedelta, text: str) -> None:
    assert duration_text(duration) == text

"""Durations, quantities and times as Go and Kubernetes write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import ExpressionError
from flowcore.language.quantities import (
    humanize,
    parse_duration,
    parse_go_duration,
    parse_nanoseconds,
    parse_quantity,
    rfc3339,
    time_letters,
    whole_quantity,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("300ms", 0.3),
        ("1h30m", 5400),
        ("-1.5h", -5400),
        ("+5s", 5),
        (".5s", 0.5),
        ("1.s", 1),
        ("2us", 0.000002),
        ("2µs", 0.000002),
        ("2μs", 0.000002),
        ("1m1m", 120),
        ("1h2m3.5s", 3723.5),
        ("1999ns", 0.000001),
    ],
)
def test_go_durations(text: str, seconds: float) -> None:
    assert parse_go_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
        ("foo", 'time: invalid duration "foo"'),
        ("s", 'time: invalid duration "s"'),
        (" 1s", 'time: invalid duration " 1s"'),
        ("3", 'time: missing unit in duration "3"'),
        ("1h5", 'time: missing unit in duration "1h5"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("1s ", 'time: unknown unit "s " in duration "1s "'),
        ('1"', 'time: unknown unit "\\"" in duration "1\\""'),
        ("3000000h", 'time: invalid duration "3000000h"'),
    ],
)
def test_what_is_no_go_duration_is_refused_in_gos_words(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_nanoseconds(text)
    assert caught.value.message == message


def test_bare_numbers_are_seconds_in_documents() -> None:
    assert parse_duration("30") == timedelta(seconds=30)
    assert parse_duration("-3") == timedelta(seconds=-3)
    assert parse_duration("1m30s") == timedelta(seconds=90)
    assert parse_duration("0") == timedelta()
    with pytest.raises(ExpressionError) as caught:
        parse_duration("1 day")
    assert caught.value.message == 'unable to parse 1 day as a duration: time: unknown unit " day" in duration "1 day"'


@pytest.mark.parametrize("text", ["9" * 40, "9" * 100_000, "1" * 5000 + "s", "1.5", "99999999999999999999h"])
def test_enormous_durations_are_refused(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_duration(text)
    assert len(caught.value.message) < 500


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_an_error(text: str) -> None:
    try:
        parse_duration(text)
    except ExpressionError as error:
        assert error.message.startswith("unable to parse ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"),
        (0.9, "0 seconds"),
        (1, "1 second"),
        (1.99, "1 second"),
        (2, "2 seconds"),
        (59.9, "59 seconds"),
        (60, "1 minute 0 seconds"),
        (130, "2 minutes 10 seconds"),
        (3600, "1 hour 0 minutes"),
        (5400, "1 hour 30 minutes"),
        (36000, "10 hours 0 minutes"),
        (86400, "1 day 0 hours"),
        (86400 * 6 + 3600 * 5, "6 days 5 hours"),
        (86400 * 7, "1 week 0 hours"),
        (86400 * 20, "2 weeks 0 hours"),
        (86400 * 30, "1 month 0 hours"),
        (86400 * 100, "3 months 0 hours"),
        (86400 * 365, "1 year 0 hours"),
        (86400 * 365 * 1.7, "2 years 12 hours"),
        (86400 * 365 * 3, "3 years 0 hours"),
        (86400 * 365 * 40, "a long while 0 hours"),
    ],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert humanize(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", "0.5"),
        ("2", "2"),
        ("1.5Gi", str(1536 * 2**20)),
        ("1Ki", "1024"),
        ("1k", "1000"),
        ("100M", "100000000"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1E", "1000000000000000000"),
        ("2Ei", str(2 * 2**60)),
        ("-1m", "-0.001"),
        (".5", "0.5"),
        ("1.", "1"),
        ("5n", "0.000000005"),
        ("1e-2", "0.01"),
    ],
)
def test_quantities(text: str, number: str) -> None:
    assert parse_quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "1gi", "1K", "0x10", "1e", "1e9999", "--1", "1Gib", "9" * 1000])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match="is not a quantity"):
        parse_quantity(text)


def test_whole_quantities_are_rounded_up() -> None:
    assert [whole_quantity(text) for text in ("1500m", "1Ki", "1n", "0")] == [2, 1024, 1, 0]


AFTERNOON = datetime(2024, 3, 5, 13, 4, 9, 120_000, tzinfo=UTC)


def test_times_as_kubernetes_prints_them() -> None:
    assert rfc3339(AFTERNOON) == "2024-03-05T13:04:09Z"
    assert rfc3339(datetime(2024, 3, 5, 13, 4, 9)) == "2024-03-05T13:04:09Z"  # noqa: DTZ001 - without a zone on purpose
    east = AFTERNOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert rfc3339(east) == "2024-03-05T18:34:09+05:30"
    west = AFTERNOON.astimezone(timezone(timedelta(hours=-3, minutes=-30)))
    assert rfc3339(west) == "2024-03-05T09:34:09-03:30"
    assert rfc3339(datetime(33, 1, 1, tzinfo=UTC)) == "0033-01-01T00:00:00Z"


def test_the_letters_of_a_time() -> None:
    assert time_letters(AFTERNOON) == {
        "B": "March",
        "b": "Mar",
        "m": "03",
        "A": "Tuesday",
        "a": "Tue",
        "d": "05",
        "H": "13",
        "I": "01",
        "M": "04",
        "S": "09",
        "Y": "2024",
        "y": "24",
        "p": "PM",
        "Z": "UTC",
        "z": "+0000",
        "L": ".120",
        "s": "1709643849",
        "RFC3339": "2024-03-05T13:04:09Z",
    }
    midnight = time_letters(datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-8), "PST")))
    assert (midnight["I"], midnight["p"], midnight["Z"], midnight["z"]) == ("12", "AM", "PST", "-0800")

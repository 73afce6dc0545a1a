"""Clocks: the real one moves by itself, the virtual one only when told, and never back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from flowcore.clocks import RealClock, VirtualClock

START = datetime(2030, 5, 1, 12, tzinfo=UTC)


def test_the_real_clock_has_a_zone_and_cannot_be_moved() -> None:
    clock = RealClock()
    before = datetime.now(UTC)
    clock.advance_to(before + timedelta(days=1))
    assert before <= clock.now() < before + timedelta(hours=1)
    assert not clock.virtual


def test_the_virtual_clock_stands_still() -> None:
    clock = VirtualClock(START)
    assert clock.now() == clock.now() == START
    assert clock.virtual


def test_the_virtual_clock_moves_forward_only() -> None:
    clock = VirtualClock(START)
    clock.advance_to(START + timedelta(days=10))
    clock.advance_to(START)
    clock.advance(timedelta(hours=-3))
    assert clock.now() == START + timedelta(days=10)
    clock.advance(timedelta(seconds=1))
    assert clock.now() == START + timedelta(days=10, seconds=1)
    assert clock.started_at == START


def test_two_virtual_clocks_agree_on_the_default_start() -> None:
    assert VirtualClock().now() == VirtualClock().now()


def test_a_zone_other_than_utc_is_fine_but_none_is_not() -> None:
    elsewhere = START.astimezone(timezone(timedelta(hours=2)))
    assert VirtualClock(elsewhere).now() == START
    with pytest.raises(ValueError, match="zone"):
        VirtualClock(START.replace(tzinfo=None))


def test_clocks_say_what_they_are() -> None:
    assert repr(RealClock()) == "RealClock()"
    assert "2030-05-01T12:00:00" in repr(VirtualClock(START))

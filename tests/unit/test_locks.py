"""Locks of one process: who is woken when one is given back."""

from __future__ import annotations

from datetime import UTC, datetime

from flowcore.catalogs import MemoryCatalog
from flowcore.jsontypes import Json, JsonObject
from flowcore.locks import MemoryLocks

START = datetime(2024, 1, 1, tzinfo=UTC)


def mutex(name: str) -> JsonObject:
    return {"mutex": {"name": name}}


def semaphore(name: str) -> JsonObject:
    reference: dict[str, Json] = {"name": "limits", "key": name}
    return {"semaphore": {"configMapKeyRef": reference}}


class Table:
    """Locks, and who was woken since one last looked."""

    def __init__(self, **limits: str) -> None:
        data: dict[str, Json] = dict(limits)
        self.catalog = MemoryCatalog([{"kind": "ConfigMap", "metadata": {"name": "limits"}, "data": data}])
        self.locks = MemoryLocks(self.catalog)
        self.woken: list[str] = []
        self.locks.watch(self.woken.append)

    def ask(self, holder: str, *locks: JsonObject, priority: int = 0) -> bool:
        return self.locks.acquire(holder, locks, namespace="ns", priority=priority, created=START).granted

    def release(self, holder: str) -> list[str]:
        self.woken.clear()
        assert list(self.locks.release(holder)) == self.woken
        return list(self.woken)


def test_of_thousands_that_wait_only_the_next_is_woken() -> None:
    table = Table()
    assert table.ask("ns/run/0", mutex("m"))
    assert not any(table.ask(f"ns/run/{number}", mutex("m")) for number in range(1, 2000))
    for number in range(1999):
        assert table.release(f"ns/run/{number}") == [f"ns/run/{number + 1}"]
        assert table.ask(f"ns/run/{number + 1}", mutex("m"))
    assert table.release("ns/run/1999") == []
    assert table.locks.counts() == (0, 0)


def test_as_many_are_woken_as_there_is_room_for() -> None:
    table = Table(three="3")
    assert [table.ask(f"ns/r{number}/x", semaphore("three"), priority=number) for number in range(7)] == [True] * 3 + [False] * 4
    assert table.release("ns/r0/x") == ["ns/r6/x"]
    assert table.release("ns/r1/x") == ["ns/r6/x", "ns/r5/x"]
    assert table.release("ns/r4/x") == ["ns/r6/x", "ns/r5/x"]


def test_who_waits_for_another_lock_too_does_not_keep_his_own_run_waiting() -> None:
    """A node that holds one lock has a child that wants the other; before the child waits somebody who wants both."""
    table = Table()
    assert table.ask("ns/run/outer", mutex("one"))
    assert table.ask("ns/run/busy", mutex("two"))
    assert not table.ask("ns/run/both", mutex("two"), mutex("one"))
    assert not table.ask("ns/run/child", mutex("two"))
    assert table.release("ns/run/busy") == ["ns/run/child"]


def test_strangers_keep_their_place_behind_who_waits_for_another_lock() -> None:
    table = Table()
    assert table.ask("ns/a/1", mutex("one"))
    assert table.ask("ns/b/1", mutex("two"))
    assert not table.ask("ns/c/1", mutex("two"), mutex("one"))
    assert not table.ask("ns/d/1", mutex("two"))
    assert table.release("ns/b/1") == []
    assert table.release("ns/a/1") == ["ns/c/1"]


def test_a_limit_that_is_gone_is_told_to_those_who_wait() -> None:
    table = Table(one="1")
    assert table.ask("ns/a/1", semaphore("one"))
    assert not table.ask("ns/b/1", semaphore("one"))
    table.catalog.add({"kind": "ConfigMap", "metadata": {"name": "limits"}, "data": {}})
    assert table.release("ns/a/1") == ["ns/b/1"]
    answer = table.locks.acquire("ns/b/1", [semaphore("one")], namespace="ns", priority=0, created=START)
    assert answer.error is not None

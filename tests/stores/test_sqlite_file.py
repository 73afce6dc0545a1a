"""The SQLite file: damage, foreign files, versions, places that cannot be written, and who else uses it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

from flowcore.errors import StoreError, UsageError
from flowcore.nodes import RunRow
from flowcore_backends.stores.drivers import is_dead, own_name
from flowcore_backends.stores.sqlite import SqliteStore
from tests.stores.test_contract import MANIFEST, NOW, RUN, node


async def filled(path: Path) -> None:
    store = SqliteStore(path)
    for number in range(40):
        await store.replace(RunRow(name=f"wf-{number}", created_at=NOW), [node(place) for place in range(20)], MANIFEST)
    await store.close()


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def scribbled(data: bytes) -> bytes:
    return data[:8192] + b"\xff" * 8192 + data[16384:]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "cut short"),
        (scribbled, "damaged"),
        (lambda data: b"not a database at all" * 20, "no flowcore store"),
        (lambda data: data[:50], "no flowcore store"),
    ],
)
async def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, spoil: Callable[[bytes], bytes], words: str) -> None:
    path = tmp_path / "runs.db"
    await filled(path)
    path.write_bytes(spoil(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=words):
        await SqliteStore(path).runs()
    assert path.read_bytes() == before


async def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA application_id = 7")
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(StoreError, match="another program"):
        await SqliteStore(path).runs()


async def test_a_store_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    await filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match=r"later flowcore \(schema 99"):
        await SqliteStore(path).runs()


async def test_a_full_database_fails_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    await store.replace(RUN, [], MANIFEST)
    await store.write(lambda cursor: cursor.execute("PRAGMA max_page_count = 20"))
    with pytest.raises(StoreError, match="make room on the disk"):
        await store.replace(RUN, [node(number, message="x" * 1000) for number in range(500)], MANIFEST)
    stored = await store.load("wf", "default")
    assert stored is not None
    assert stored.nodes == ()
    await store.replace(RUN, [node(number, message="x" * 1000) for number in range(500)], MANIFEST)
    await store.close()


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"runs\.db: "):
        await SqliteStore(tmp_path / "file" / "runs.db").runs()


async def test_a_dead_process_loses_its_run_at_once(tmp_path: Path) -> None:
    program = (
        "import anyio, os, sys\n"
        "from flowcore_backends.stores.sqlite import SqliteStore\n"
        "from tests.stores.test_contract import *\n"
        "async def main():\n"
        "    claim = await SqliteStore(sys.argv[1]).claim('wf', 'default')\n"
        "    await claim.save(RUN, [node(1)], MANIFEST)\n"
        "    os.kill(os.getpid(), 9)\n"
        "anyio.run(main)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "runs.db")], cwd=Path(__file__).parents[2], check=False)
    assert ended.returncode == -9
    store = SqliteStore(tmp_path / "runs.db")
    assert [each.driver for each in await store.runs()] == [None]
    claim = await store.claim("wf", "default")
    assert await claim.load("wf", "default")
    await store.close()


def test_living_and_dead_drivers() -> None:
    own = own_name()
    assert not is_dead(own)
    assert not is_dead("elsewhere/1/2/abc")
    machine, number, born, _ = own.split("/")
    assert is_dead(f"{machine}/{number}/{int(born or 0) + 1}/abc")
    assert not is_dead("nonsense")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///x.db?mode=fast", "sqlite:///x.db?synchronous=off"])
def test_urls_that_say_nothing(url: str) -> None:
    with pytest.raises(UsageError, match=r"store|synchronous"):
        SqliteStore.from_url(url)


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:////a/b.db", "/a/b.db"), ("sqlite:///b%20c.db?synchronous=full", "b c.db"), ("sqlite:///:memory:", ":memory:")],
)
def test_urls(url: str, path: str) -> None:
    assert SqliteStore.from_url(url).path == path


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done in another thread."""
    used: list[str] = []
    run_sync = to_thread.run_sync

    async def noted(work: Any, *args: Any) -> Any:
        used.append(work.__name__)
        return await run_sync(work, *args)

    monkeypatch.setattr(to_thread, "run_sync", noted)
    return used


async def test_a_few_rows_are_recorded_on_the_spot(tmp_path: Path, threads: list[str]) -> None:
    """And are in the file then; a thread has its turn now and then, and for what takes longer."""
    store = SqliteStore(tmp_path / "runs.db")
    claim = await store.claim("wf", "default")
    threads.clear()
    for number in range(250):
        await claim.save(RunRow(name="wf"), [node(number)], {})
    assert len(threads) == 2
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection:
        assert connection.execute("SELECT count(*) FROM nodes").fetchone() == (250,)
    await claim.save(RunRow(name="wf"), [node(number) for number in range(40)])
    assert len(threads) == 3
    await store.close()


async def test_every_commit_that_reaches_the_disk_has_a_thread(tmp_path: Path, threads: list[str]) -> None:
    store = SqliteStore(tmp_path / "runs.db", synchronous="full")
    claim = await store.claim("wf", "default")
    threads.clear()
    for number in range(5):
        await claim.save(RunRow(name="wf"), [node(number)], {})
    assert len(threads) == 5
    await store.close()


async def test_nobody_waits_for_another_process_in_the_event_loop(tmp_path: Path, threads: list[str]) -> None:
    """While somebody else writes, the rows wait in a thread, and everything else goes on."""
    store = SqliteStore(tmp_path / "runs.db")
    claim = await store.claim("wf", "default")
    await claim.save(RunRow(name="wf"), [], {})
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        threads.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(claim.save, RunRow(name="wf"), [node(1)])
            while not threads:
                await anyio.lowlevel.checkpoint()
            other.execute("ROLLBACK")
    stored = await store.load("wf", "default")
    assert stored is not None
    assert len(stored.nodes) == 1
    await store.close()

"""Every store under the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from flowcore.clocks import VirtualClock
from flowcore_backends.stores.sql_store import SqlStore
from flowcore_backends.stores.sqlite import SqliteStore
from tests.stores.postgres_server import programs, server


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    pytest.importorskip("psycopg")
    if programs() is None:
        pytest.skip("PostgreSQL is not installed")
    with server() as url:
        yield url


@pytest.fixture
def clock() -> VirtualClock:
    """The clock by which leases are measured."""
    return VirtualClock()


@pytest.fixture(params=["sqlite", "memory", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock) -> AsyncIterator[SqlStore]:
    kind = request.param
    made: SqlStore
    if kind == "postgres":
        from flowcore_backends.stores.postgres import PostgresStore

        made = PostgresStore(request.getfixturevalue("postgres_url"), clock=clock)
        await made.write(empty)
    else:
        made = SqliteStore(":memory:" if kind == "memory" else tmp_path / "runs.db", clock=clock)
    yield made
    await made.close()


def empty(cursor: object) -> None:
    for table in ("runs", "nodes", "logs", "memos", "locks", "orders", "documents"):
        cursor.execute(f"DELETE FROM {table}")

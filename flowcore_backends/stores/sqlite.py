"""``SqliteStore``: one file, written ahead (WAL), for one machine. What the command line uses unless it is told otherwise."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import cast
from urllib.parse import unquote

from flowcore.artifacts.offloading import Offload
from flowcore.clocks import RealClock
from flowcore.errors import StoreError, UsageError
from flowcore.ports import Clock
from flowcore.stores import offload_of, state_folder
from flowcore_backends.stores.schema import brought_up
from flowcore_backends.stores.sql_store import SqlStore
from flowcore_backends.stores.transactions import Cursor

_APPLICATION = 0x666C6F77  # "flow": tells our files from other SQLite files
_HEADER = 100
_CHECKED_WHOLE = 64 << 20  # files up to this size are checked when they are opened
_WAITS = 20.0  # seconds for another process's transaction
_PAGES_AHEAD = 1000  # how long the journal grows before it is copied into the file: SQLite's own default


class SqliteStore(SqlStore):
    """A ``RunStore`` in one SQLite file; ``:memory:`` keeps it in memory. The file and its folder are made when they are first used.

    With ``synchronous="normal"`` a crash of the process loses nothing, and a loss of power at most the last moments; ``full`` has every commit reach
    the disk. A file that is no store, or is damaged, is refused with StoreError and left as it is.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        synchronous: str = "normal",
        lease: timedelta = timedelta(seconds=30),
        clock: Clock | None = None,
        offload: Offload | None = None,
    ) -> None:
        if synchronous not in ("normal", "full"):
            raise UsageError(f"synchronous is normal or full, not {synchronous!r}")
        self.path = str(path)
        super().__init__(SqliteDatabase(self.path, synchronous), clock or RealClock(), lease, offload)

    @classmethod
    def from_url(cls, url: str) -> SqliteStore:
        """The store of ``sqlite:///path`` (four slashes for an absolute path; ``?synchronous=full``). Large outputs are put away in the state
        folder, unless the URL says otherwise (``offload_of``). Raises UsageError.
        """
        url, offload = offload_of(url, state_folder() / "artifacts")
        place, _, query = url.partition("://")[2].partition("?")
        choices = dict(item.split("=", 1) for item in query.split("&") if "=" in item)
        path = unquote(place.removeprefix("/"))
        unknown = sorted(choices.keys() - {"synchronous"})
        if unknown or not path:
            wrong = f"it does not take {unknown[0]}" if unknown else "it names no file"
            raise UsageError(f"store {url}: {wrong}; write sqlite:///path/to/file.db or sqlite:///file.db?synchronous=full")
        in_memory = path == ":memory:"
        file = path if in_memory else Path(path).expanduser()
        return cls(file, synchronous=choices.get("synchronous", "normal"), offload=None if in_memory else offload)

    def __repr__(self) -> str:
        return f"SqliteStore({self.path!r})"


class SqliteDatabase:
    """How a SQLite file is opened, and what its errors mean."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    begin = "BEGIN IMMEDIATE"

    def __init__(self, path: str, synchronous: str) -> None:
        self._path, self._synchronous = path, synchronous
        self._connection: sqlite3.Connection | None = None

    def connect(self) -> Cursor:
        """Open the file, and bring its tables up to this version. Raises StoreError."""
        in_memory = self._path == ":memory:"
        if self._connection is None or not in_memory:
            if not in_memory:
                self._look_at_file()
            self._connection = sqlite3.connect(self._path, timeout=_WAITS, isolation_level=None, check_same_thread=False)
        cursor = cast("Cursor", self._connection.cursor())
        if not in_memory:
            self._check(cursor)
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {self._synchronous}")
        brought_up(cursor, self, {"big": "INTEGER", "key": "INTEGER PRIMARY KEY", "serial": "INTEGER PRIMARY KEY AUTOINCREMENT"})
        cursor.execute(f"PRAGMA application_id = {_APPLICATION}")
        return cursor

    def disconnect(self) -> None:
        """Close the file. What is in memory only stays, for it would be gone."""
        if self._connection is not None and self._path != ":memory:":
            self._connection.close()
            self._connection = None

    def begins_at_once(self, cursor: Cursor) -> bool:
        """Begin, unless somebody else is writing. Commits do not wait for the disk, but for those of ``synchronous=full``."""
        if self._synchronous == "full":
            return False
        try:
            cursor.execute(self.begin)
        except sqlite3.Error:  # told by whoever tries again in a thread
            return False
        return True

    def be_patient(self, cursor: Cursor, *, patient: bool) -> None:
        """In a thread, wait for others, and copy what was committed into the file now and then, which waits for the disk."""
        cursor.execute(f"PRAGMA busy_timeout = {int(_WAITS * 1000) if patient else 0}")
        cursor.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_AHEAD if patient else 0}")

    def version(self, cursor: Cursor) -> int:
        """The version of the tables, 0 for none."""
        cursor.execute("PRAGMA user_version")
        found = cursor.fetchone()
        return cast("int", found[0]) if found else 0

    def set_version(self, cursor: Cursor, version: int) -> None:
        """Note the version of the tables."""
        cursor.execute(f"PRAGMA user_version = {version}")

    def explained(self, error: Exception) -> StoreError:
        """What went wrong, in words that say what to do."""
        text = str(error)
        remedy = next((remedy for sign, remedy in _REMEDIES.items() if sign in text), "")
        return StoreError(f"store {self._path}: {text}" + (f": {remedy}" if remedy else ""))

    def _look_at_file(self) -> None:
        """Refuse what is no file of ours without opening it as a database, which could change it."""
        path = Path(self._path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.stat().st_size == 0:
                return
            with path.open("rb") as file:
                header = file.read(_HEADER)
            size = path.stat().st_size
        except OSError as error:
            raise StoreError(
                f"store {path}: {error.strerror or error}: name a file in a folder that is there and can be written to"
            ) from error
        if not header.startswith(b"SQLite format 3\0") or len(header) < _HEADER:
            raise StoreError(f"store {path}: this is no flowcore store; it was left as it is")
        if int.from_bytes(header[68:72]) not in (0, _APPLICATION):
            raise StoreError(f"store {path}: this is the database of another program; it was left as it is")
        page = int.from_bytes(header[16:18])
        pages = int.from_bytes(header[28:32])
        journal = path.with_name(path.name + "-wal")
        if size < pages * (65536 if page == 1 else page) and not (journal.exists() and journal.stat().st_size):
            raise StoreError(f"store {path}: the file was cut short and is damaged; it was left as it is: put a copy in its place")

    def _check(self, cursor: Cursor) -> None:
        """Refuse a damaged file while that is still quick to find."""
        if Path(self._path).stat().st_size > _CHECKED_WHOLE:
            return
        cursor.execute("PRAGMA quick_check(1)")
        found = cursor.fetchone()
        if found is None or found[0] != "ok":
            said = found[0] if found else "no answer"
            raise StoreError(f"store {self._path}: the file is damaged ({said}); it was left as it is: put a copy in its place")


_REMEDIES = {
    "locked": "another process keeps it busy; try again",
    "full": "make room on the disk, then continue the run",
    "malformed": "the file is damaged; put a copy in its place",
    "not a database": "it is no flowcore store; it was left as it is",
    "readonly": "make it and its folder writable",
    "unable to open": "make its folder readable and writable",
    "disk I/O": "look at the disk, then continue the run",
}

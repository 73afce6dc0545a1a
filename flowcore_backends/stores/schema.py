"""Bringing the tables of a store up to this version of flowcore. Called once for each connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from flowcore.errors import StoreError
from flowcore_backends.stores.statements import MIGRATIONS
from flowcore_backends.stores.transactions import Cursor


class Versioned(Protocol):
    """A database that knows the version of its tables."""

    begin: str

    def version(self, cursor: Cursor) -> int:
        """The version of the tables, 0 for none."""
        ...

    def set_version(self, cursor: Cursor, version: int) -> None:
        """Note the version of the tables."""
        ...


def brought_up(cursor: Cursor, database: Versioned, types: Mapping[str, str]) -> None:
    """Make the tables, or what they lack, in one transaction. Raises StoreError for those of a later flowcore."""
    if database.version(cursor) == len(MIGRATIONS):
        return
    cursor.execute(database.begin)
    try:
        version = database.version(cursor)  # another process may have been quicker
        if version > len(MIGRATIONS):
            raise StoreError(
                f"the store was written by a later flowcore (schema {version}, this one knows {len(MIGRATIONS)}): upgrade flowcore"
            )
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                cursor.execute(statement.format(**types))
        database.set_version(cursor, len(MIGRATIONS))
        cursor.execute("COMMIT")
    except BaseException:
        cursor.execute("ROLLBACK")
        raise
